"""Telling clients what is served: /api, /apis, /apis/GROUP, /apis/GROUP/VERSION, and all of it in one answer.

Stands for apiserver's pkg/endpoints/discovery. The answers are computed from `Resources` and kept as bytes until
that changes, so custom resources show up by themselves. Field order is upstream's, for people who read the raw text.

Leaves out: the v2beta1 form and protobuf; clients that ask for these also accept what is here.
"""

import base64
import hashlib
from typing import Any, Final

import orjson

from k8s_core.api.resources import Resource, Resources, Rows, Subresource
from k8s_core.apiserver.request import Request, Response

AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The media type that asks for every group, version and resource at once."""

_AGGREGATED: Final = {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"}
_JSON: Final = "application/json"
_STORED: Final = {"list", "create"}
_HASH_SIZE: Final = 8

Answer = dict[str, Any]


class Discovery:
    """Answers discovery requests about a set of resources."""

    def __init__(self, resources: Resources, address: str = "10.0.0.4:6443") -> None:
        self.resources = resources
        self.address = address
        self._generation = -1
        self._kept: dict[tuple[str, bool], bytes | None] = {}

    def serve(self, request: Request) -> Response | None:
        """The answer to a GET of a discovery path; None if the path is not about discovery or not served."""
        path = request.path.rstrip("/")
        if self._generation != self.resources.generation:
            self._generation = self.resources.generation
            self._kept.clear()
        aggregated = path in ("/api", "/apis") and wants_aggregated(request.headers.get("accept", ""))
        key = (path, aggregated)
        if key not in self._kept:
            answer = self.aggregated(path) if aggregated else self.plain(path)
            if answer is None:
                return None  # not kept: whoever asks for nonsense must not fill the memory
            self._kept[key] = orjson.dumps(answer) + b"\n"
        body = self._kept[key]
        if not aggregated:
            return Response(body=body, content_type=_JSON)
        etag = f'"{hashlib.sha512(body or b"").hexdigest().upper()}"'
        headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"}
        if request.headers.get("if-none-match") == etag:
            return Response(304, body=b"", content_type=AGGREGATED, headers=headers)
        return Response(body=body, content_type=AGGREGATED, headers=headers)

    def plain(self, path: str) -> Answer | None:
        """The answer in the form that every client knows; None if there is nothing at the path."""
        parts = path.strip("/").split("/")
        match parts:
            case ["api"]:
                cidr = {"clientCIDR": "0.0.0.0/0", "serverAddress": self.address}
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [cidr]}
            case ["apis"]:
                groups = [_group(name, versions) for name, versions in self.resources.groups()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["apis", name]:
                found = next((group for group in self.resources.groups() if group.name == name), None)
                return {"kind": "APIGroup", "apiVersion": "v1", **_group(*found)} if found else None
            case ["api", version]:
                rows = self._rows("", version)
                return {"kind": "APIResourceList", "groupVersion": version, "resources": rows} if rows else None
            case ["apis", group, version]:
                rows = self._rows(group, version)
                head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
                return {**head, "resources": rows} if rows and group else None
        return None

    def aggregated(self, path: str) -> Answer:
        """Everything below /api or /apis at once."""
        groups = [("", ("v1",))] if path == "/api" else self.resources.groups()
        items = []
        for name, versions in groups:
            described = [
                {"version": each, "resources": self._described(name, each), "freshness": self._freshness(name, each)}
                for each in versions
            ]
            items.append({"metadata": {"name": name} if name else {}, "versions": described})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }

    def _described(self, group: str, version: str) -> list[Answer]:
        if (group, version) in self.resources.remote:
            return _described_remote(group, version, self.resources.remote[group, version] or [])
        return [_described(resource) for resource in self.resources.of(group, version)]

    def _freshness(self, group: str, version: str) -> str:
        return "Stale" if self.resources.remote.get((group, version), []) is None else "Current"

    def _rows(self, group: str, version: str) -> list[Answer]:
        rows = []
        for resource in self.resources.of(group, version):
            rows.append(_row(resource))
            rows += [_subrow(resource, resource.subresources[name]) for name in sorted(resource.subresources)]
        return rows


def wants_aggregated(accept: str) -> bool:
    """Whether the first media type in an Accept header that can be served is the aggregated one."""
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        if media in (_JSON, "*/*", "application/*"):
            asked = {part for part in parameters if part.startswith(("g=", "v=", "as="))}
            if media == _JSON and asked == _AGGREGATED:
                return True
            if not asked:
                return False
    return False


def storage_version_hash(resource: Resource) -> str:
    """What tells clients that two served resources are the same stored ones."""
    group, version = resource.stored_as
    digest = hashlib.sha256(f"{group}/{version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:_HASH_SIZE]).decode()


def _group(name: str, versions: tuple[str, ...]) -> Answer:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _row(resource: Resource) -> Answer:
    row: Answer = {
        "name": resource.name,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        row["shortNames"] = resource.short_names
    if resource.categories:
        row["categories"] = resource.categories
    if set(resource.verbs) >= _STORED:
        row["storageVersionHash"] = storage_version_hash(resource)
    return row


def _subrow(resource: Resource, sub: Subresource) -> Answer:
    foreign = (sub.group, sub.version) != (resource.group, resource.version)
    return {
        "name": f"{resource.name}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        **({"group": sub.group, "version": sub.version} if foreign else {}),
        "kind": sub.kind,
        "verbs": sub.verbs,
    }


def _described(resource: Resource) -> Answer:
    found: Answer = {
        "resource": resource.name,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        found["shortNames"] = resource.short_names
    if resource.categories:
        found["categories"] = resource.categories
    if resource.subresources:
        found["subresources"] = [
            _described_below(resource, resource.subresources[n]) for n in sorted(resource.subresources)
        ]
    return found


def _described_remote(group: str, version: str, rows: Rows) -> list[Answer]:
    """What another server says of its resources, in the aggregated form."""
    found: dict[str, Answer] = {}
    for row in sorted(rows, key=lambda row: "/" in row["name"]):
        name, _, below = row["name"].partition("/")
        kind = {"group": row.get("group") or group, "version": row.get("version") or version, "kind": row.get("kind")}
        if below:
            more = {"subresource": below, "responseKind": kind, "verbs": row.get("verbs") or []}
            found.setdefault(name, {"resource": name}).setdefault("subresources", []).append(more)
            continue
        found[name] = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if row.get("namespaced") else "Cluster",
            "singularResource": row.get("singularName") or "",
            "verbs": row.get("verbs") or [],
            **{key: row[key] for key in ("shortNames", "categories") if row.get(key)},
        }
    return list(found.values())


def _described_below(resource: Resource, sub: Subresource) -> Answer:
    row = _subrow(resource, sub)
    kind = {"group": row.get("group", ""), "version": row.get("version", ""), "kind": sub.kind}
    return {"subresource": sub.name, "responseKind": kind, "verbs": sub.verbs}
