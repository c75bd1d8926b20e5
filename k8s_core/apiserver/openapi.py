"""Describing the API: /openapi/v3 with one document for each group and version, and /openapi/v2 with all in one.

From these kubectl explains fields (`kubectl explain`), learns that the server validates fields, and merges patches
in `kubectl apply` and `kubectl diff`. Stands for kube-openapi's handlers. The documents are made from the schema when
somebody asks, and kept as bytes until the set of resources changes.

Leaves out: the protobuf form of v3; who accepts nothing else is told 406.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from k8s_core.api.resources import Resources
from k8s_core.api.schema import Schema
from k8s_core.apiserver import openapi_paths, openapi_protobuf
from k8s_core.apiserver.openapi_schemas import V2, V3, Definitions
from k8s_core.apiserver.request import Request, Response

_ROOT: Final = "/openapi/v3"
_JSON: Final = {"application/json", "application/*", "*/*", ""}
_PROTOBUF: Final = {
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
}
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
# What answers of every group and version refer to.
_ALWAYS: Final = tuple(_META + name for name in ("APIResourceList", "DeleteOptions", "Patch", "Status", "WatchEvent"))
_INFO: Final = {"title": "Kubernetes"}
_SECURITY: Final = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }
}

Document = dict[str, Any]


class OpenAPI:
    """Answers requests below /openapi. `extra` gives the schemas of custom kinds: (group, version) -> definitions."""

    def __init__(
        self,
        schema: Schema,
        resources: Resources,
        extra: Callable[[str, str], dict[str, Document]] = lambda group, version: {},
    ) -> None:
        self.resources = resources
        self.extra = extra
        self.version = schema.version
        self.schema = schema
        self.definitions = Definitions(schema)
        self._generation = -1
        self._kept: dict[str, bytes] = {}
        self._hashes: dict[str, str] = {}

    def serve(self, request: Request) -> Response | None:
        """The answer to a GET below /openapi; None if there is no such document."""
        if self._generation != self.resources.generation:
            self._generation = self.resources.generation
            self._kept.clear()
            self._hashes = {name: self._hash(*parts) for name, parts in self._served().items()}
        path, accepted = request.path.rstrip("/"), _accepted(request)
        if path == _ROOT:
            return self._reply(request, path, lambda: orjson.dumps(self.index()))
        if path == "/openapi/v2":
            if accepted & _PROTOBUF and not accepted & _JSON:
                make, media = lambda: openapi_protobuf.encode(self.v2()), min(_PROTOBUF)
                return self._reply(request, path + "#protobuf", make, media=media)
            return self._reply(request, path, lambda: orjson.dumps(self.v2()))
        name = path.removeprefix(_ROOT + "/")
        if name not in self._hashes or not path.startswith(_ROOT + "/"):
            return None
        asked = request.param("hash")
        if asked and asked != self._hashes[name]:
            return Response(301, body=b"", headers={"Location": self._url(name)})
        found = self._reply(request, path, lambda: orjson.dumps(self.v3(*self._served()[name])), self._hashes[name])
        if asked and found.code == 200:
            found.headers["Cache-Control"] = "public, immutable, max-age=31536000"
        return found

    def index(self) -> Document:
        """Where the document of each group and version is."""
        return {"paths": {name: {"serverRelativeURL": self._url(name)} for name in sorted(self._hashes)}}

    def v3(self, group: str, version: str) -> Document:
        """The OpenAPI v3 document of a group and version."""
        resources = self.resources.of(group, version)
        extra = self.extra(group, version)
        roots = [*_ALWAYS, *self._kinds(group, version, resources), *_references(extra)]
        schemas = {**self.definitions.closure(roots, V3), **extra}
        name_of = self._names(schemas)
        return {
            "openapi": "3.0.0",
            "info": {**_INFO, "version": f"v{self.version}.0"},
            "paths": openapi_paths.v3(group, version, resources, name_of),
            "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        }

    def v2(self) -> Document:
        """The OpenAPI v2 document of everything."""
        roots = list(_ALWAYS)
        paths: Document = {}
        for group, version in self._served().values():
            resources = self.resources.of(group, version)
            roots += self._kinds(group, version, resources)
            known = self._names({name: self.definitions.raw(name) for name in roots})
            paths |= openapi_paths.v2(group, version, resources, known)
        return {
            "swagger": "2.0",
            "info": {**_INFO, "version": f"v{self.version}.0"},
            "paths": paths,
            "definitions": self.definitions.closure(roots, V2),
            "securityDefinitions": _SECURITY,
            "security": [{"BearerToken": []}],
        }

    def _served(self) -> dict[str, tuple[str, str]]:
        named = {
            f"apis/{g.name}/{version}": (g.name, version) for g in self.resources.groups() for version in g.versions
        }
        return {"api/v1": ("", "v1"), **named}

    def _kinds(self, group: str, version: str, resources: Iterable[Any]) -> list[str]:
        wanted = []
        for resource in resources:
            wanted += [(group, version, resource.kind), (group, version, resource.kind + "List")]
            wanted += [(sub.group, sub.version, sub.kind) for sub in resource.subresources.values()]
        return [self.schema.definition(*gvk) for gvk in wanted if self.schema.has_kind(*gvk)]

    def _names(self, schemas: dict[str, Document]) -> dict[tuple[str, str, str], str]:
        """Which schema describes which kind."""
        return {
            (gvk["group"], gvk["version"], gvk["kind"]): name
            for name, schema in schemas.items()
            for gvk in schema.get("x-kubernetes-group-version-kind", ())
        }

    def _reply(
        self, request: Request, key: str, make: Callable[[], bytes], etag: str = "", media: str = "application/json"
    ) -> Response:
        """A kept document, if the client takes its form and does not have it already."""
        if media not in _PROTOBUF and not _accepted(request) & _JSON:
            return Response(406, body=b"", headers={"Vary": "Accept"})
        if key not in self._kept:
            self._kept[key] = make()
        quoted = f'"{etag or hashlib.sha512(self._kept[key]).hexdigest().upper()}"'
        headers = {"ETag": quoted, "Vary": "Accept"}
        if request.headers.get("if-none-match") == quoted:
            return Response(304, body=b"", headers=headers)
        return Response(body=self._kept[key], content_type=media, headers=headers)

    def _hash(self, group: str, version: str) -> str:
        """Changes with the document, but is known before it is made."""
        kinds = [(r.name, r.kind, r.verbs, sorted(r.subresources)) for r in self.resources.of(group, version)]
        told = repr((self.version, group, version, kinds, self.extra(group, version)))
        return hashlib.sha512(told.encode()).hexdigest().upper()

    def _url(self, name: str) -> str:
        return f"{_ROOT}/{name}?hash={self._hashes[name]}"


def _accepted(request: Request) -> set[str]:
    return {clause.partition(";")[0].strip() for clause in request.headers.get("accept", "").split(",")}


def _references(value: Any) -> list[str]:
    """The built-in definitions that custom schemas refer to, such as ObjectMeta."""
    if isinstance(value, dict):
        own = [value["$ref"].rpartition("/")[2]] if isinstance(value.get("$ref"), str) else []
        return own + [name for item in value.values() for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []
