"""The paths in OpenAPI documents: which operation can be done where, with which parameters and bodies.

kubectl looks in them for the kind behind a resource, for the `fieldValidation` parameter and for the patches that a
resource takes. The /watch/ paths that nobody should use any more are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from k8s_core.api.resources import Resource
from k8s_core.apiserver.openapi_schemas import V2, V3

Document = dict[str, Any]
Kind = tuple[str, str, str]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_JSON: Final = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_WATCH: Final = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_PATCHES: Final = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_CONNECT: Final = {"attach", "exec", "portforward", "proxy"}

_BOOLEAN: Final = {
    "allowWatchBookmarks", "follow", "force", "ignoreStoreReadErrorWithClusterBreakingPotential",
    "insecureSkipTLSVerifyBackend", "orphanDependents", "previous", "sendInitialEvents", "stderr", "stdin", "stdout",
    "timestamps", "tty", "watch",
}  # fmt: skip
_INTEGER: Final = {
    "gracePeriodSeconds",
    "limit",
    "limitBytes",
    "ports",
    "sinceSeconds",
    "tailLines",
    "timeoutSeconds",
}
_WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
_DELETE: Final = ("dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential",
                  "orphanDependents", "propagationPolicy")  # fmt: skip
_SELECT: Final = ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch",
                  "sendInitialEvents", "timeoutSeconds")  # fmt: skip
_PARAMETERS: Final = {
    "list": ("allowWatchBookmarks", *_SELECT, "watch"),
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _DELETE,
    "deletecollection": tuple(sorted({*_DELETE, *_SELECT})),
}
_SUB_VERBS: Final = (
    ("get", "get", "read"), ("create", "post", "create"), ("update", "put", "replace"), ("patch", "patch", "patch"),
    ("delete", "delete", "delete"),
)  # fmt: skip
_OF_SUBRESOURCE: Final = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "log": ("container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream",
            "tailLines", "timestamps"),
    "portforward": ("ports",),
    "proxy": ("path",),
}  # fmt: skip
_ABOUT: Final = {
    "allowWatchBookmarks": "Whether a watch may send BOOKMARK events, which tell nothing but how far it has come.",
    "command": "The command to run: one parameter for each word.",
    "container": "The container of the Pod; may be left out if there is only one.",
    "continue": "What the answer before said where the next chunk of a list begins.",
    "dryRun": "With All, every stage is passed and nothing is stored.",
    "fieldManager": "The name under which the changed fields are owned; for apply patches it must be given.",
    "fieldSelector": "Restricts the list of returned objects by their fields.",
    "fieldValidation": "What happens to unknown and duplicate fields: Ignore, Warn or Strict.",
    "follow": "Go on with the log as it is written.",
    "force": "Take fields away from other managers; for apply patches only.",
    "gracePeriodSeconds": "How long the object has before it is deleted; 0 is at once.",
    "labelSelector": "Restricts the list of returned objects by their labels.",
    "limit": "How many objects an answer has at most; continue then says where the rest is.",
    "limitBytes": "After how many bytes the log is cut.",
    "name": "The object's name.",
    "namespace": "The object's namespace.",
    "orphanDependents": "Deprecated: use propagationPolicy.",
    "path": "The path of the request to pass on.",
    "ports": "The ports to forward to.",
    "pretty": "With true, the answer is indented.",
    "previous": "The log of the container that ran before.",
    "propagationPolicy": "What becomes of dependents: Orphan, Background or Foreground.",
    "resourceVersion": "How new the answer must be, or where the watch begins.",
    "resourceVersionMatch": "How resourceVersion is meant: NotOlderThan or Exact.",
    "sendInitialEvents": "Begin the watch with an event for each object that exists.",
    "sinceSeconds": "Only what was logged in the last seconds.",
    "stderr": "Connect the command's standard error.",
    "stdin": "Connect the command's standard input.",
    "stdout": "Connect the command's standard output.",
    "stream": "Which of the container's streams: All, Stdout or Stderr.",
    "tailLines": "How many lines from the end of the log.",
    "timeoutSeconds": "After how many seconds a list or watch ends.",
    "timestamps": "Put the time before every line.",
    "tty": "Give the command a terminal.",
    "watch": "Watch for changes to the described resources: a stream of ADDED, MODIFIED and DELETED events.",
}


class Operation(NamedTuple):
    """One thing that can be done at a path."""

    path: str
    method: str
    action: str
    verb: str  # the first word of the operation's id
    what: str  # its last words
    kind: Kind
    body: str  # schema names; "" for none
    answer: str
    subresource: str
    parent: str  # the kind of the resource itself
    strategic: bool


def _title(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.split("."))


def _operations(
    group: str, version: str, resources: Iterable[Resource], names: Mapping[Kind, str]
) -> Iterator[Operation]:
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for resource in resources:
        kind = (group, version, resource.kind)
        own, listed = names.get(kind, ""), names.get((group, version, resource.kind + "List"), "")
        many = f"{root}/namespaces/{{namespace}}/{resource.name}" if resource.namespaced else f"{root}/{resource.name}"
        one, verbs = many + "/{name}", set(resource.verbs)
        scoped = ("Namespaced" if resource.namespaced else "") + resource.kind
        status, patch, options = _META + "Status", _META + "Patch", _META + "DeleteOptions"

        def operation(
            path: str, method: str, action: str, verb: str, what: str, body: str, answer: str, kind: Kind = kind,
            sub: str = "", parent: str = resource.kind, strategic: bool = not resource.custom,
        ) -> Operation:  # fmt: skip
            return Operation(path, method, action, verb, what, kind, body, answer, sub, parent, strategic)

        if "list" in verbs:
            yield operation(many, "get", "list", "list", scoped, "", listed)
            if resource.namespaced:
                everywhere = resource.kind + "ForAllNamespaces"
                yield operation(f"{root}/{resource.name}", "get", "list", "list", everywhere, "", listed)
        if "create" in verbs:
            yield operation(many, "post", "post", "create", scoped, own, own)
        if "deletecollection" in verbs:
            yield operation(many, "delete", "deletecollection", "delete", "Collection" + scoped, options, status)
        if "get" in verbs:
            yield operation(one, "get", "get", "read", scoped, "", own)
        if "update" in verbs:
            yield operation(one, "put", "put", "replace", scoped, own, own)
        if "patch" in verbs:
            yield operation(one, "patch", "patch", "patch", scoped, patch, own)
        if "delete" in verbs:
            yield operation(one, "delete", "delete", "delete", scoped, options, status)
        for name, sub in sorted(resource.subresources.items()):
            about = (sub.group, sub.version, sub.kind)
            path, what, schema = f"{one}/{name}", scoped + _title(name), names.get(about, "")
            for word, method, verb in _SUB_VERBS:
                if word not in sub.verbs:
                    continue
                if name in _CONNECT:
                    yield operation(path, method, "connect", "connect" + _title(method), what, "", "", about, name)
                    continue
                body = {"create": schema, "update": schema, "patch": patch}.get(word, "")
                answer = "" if name == "log" else schema
                yield operation(path, method, method, verb, what, body, answer, about, name)


def _id(group: str, version: str, operation: Operation) -> str:
    where = _title((group or "core").removesuffix(".k8s.io")) + _title(version)
    rest = operation.what
    collection = rest.startswith("Collection")
    head = where + "Collection" if collection else where
    return operation.verb.replace("connect", "connect" + where, 1) + rest if operation.action == "connect" else (
        operation.verb + head + rest.removeprefix("Collection")
    )  # fmt: skip


def _description(operation: Operation) -> str:
    kind = operation.parent
    plural = kind.endswith("s") and not kind.endswith("ss")
    noun = kind if plural else f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
    below = f"{operation.subresource} of " if operation.subresource else ""
    words = {
        "list": f"list or watch objects of kind {kind}",
        "post": f"create {below}{noun}",
        "deletecollection": f"delete collection of {kind}",
        "get": f"read {below}the specified {kind}",
        "put": f"replace {below}the specified {kind}",
        "patch": f"partially update {below}the specified {kind}",
        "delete": f"delete {noun}",
        "connect": f"connect {operation.method.upper()} requests to {below}{kind}",
    }
    return words[operation.action]


def _schema(name: str) -> Document:
    kind = "boolean" if name in _BOOLEAN else "integer" if name in _INTEGER else "string"
    return {"type": kind, "uniqueItems": True}


def _parameter(place: str, name: str, **more: Any) -> Document:
    about = {"description": _ABOUT[name]} if name in _ABOUT else {}
    return {"in": place, "name": name, **about, **more}


def _parameters(operation: Operation) -> list[str]:
    found = _PARAMETERS.get(operation.action, ())
    return sorted({*found, *_OF_SUBRESOURCE.get(operation.subresource, ())})


def _codes(action: str) -> dict[str, str]:
    created, accepted = {"201": "Created"}, {"202": "Accepted"}
    more = {"post": {**created, **accepted}, "put": created, "patch": created, "delete": accepted}
    return {"200": "OK", **more.get(action, {})}


def _common(group: str, version: str, operation: Operation) -> Document:
    about = dict(zip(("group", "version", "kind"), operation.kind, strict=True))
    return {
        "description": _description(operation),
        "operationId": _id(group, version, operation),
        "tags": [f"{(group or 'core').removesuffix('.k8s.io').replace('.', '')}_{version}"],
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": about,
    }


def _in_path(path: str) -> list[str]:
    return [name for name in ("name", "namespace") if f"{{{name}}}" in path]


def _root(group: str, version: str) -> str:
    return f"/apis/{group}/{version}/" if group else f"/api/{version}/"


def v3(group: str, version: str, resources: Iterable[Resource], names: Mapping[Kind, str]) -> Document:
    """The paths of a group and version; `names` says which schema describes which kind."""
    paths: Document = {_root(group, version): {"get": _resource_list(group, version, {"content": _content(_JSON, V3)})}}
    for operation in _operations(group, version, resources, names):
        item = paths.setdefault(operation.path, {})
        item.setdefault(
            "parameters",
            [_parameter("path", n, required=True, schema=_schema(n)) for n in _in_path(operation.path)]
            + [_parameter("query", "pretty", schema=_schema("pretty"))],
        )
        found = _common(group, version, operation)
        if listed := _parameters(operation):
            found["parameters"] = [_parameter("query", n, schema=_schema(n)) for n in listed]
        if operation.body:
            media = _patches(operation) if operation.action == "patch" else ("*/*",)
            body = {"schema": {"$ref": V3 + operation.body}}
            found["requestBody"] = {"content": dict.fromkeys(media, body)}
            if operation.action in ("post", "put", "patch"):
                found["requestBody"]["required"] = True
        media = _JSON + (_WATCH if operation.action == "list" else ())
        answer = {"schema": {"$ref": V3 + operation.answer} if operation.answer else {"type": "string"}}
        content = dict.fromkeys(media if operation.answer else ("*/*",), answer)
        found["responses"] = {
            code: {"description": text, "content": content} for code, text in _codes(operation.action).items()
        }
        found["responses"]["401"] = {"description": "Unauthorized"}
        item[operation.method] = found
    return paths


def v2(group: str, version: str, resources: Iterable[Resource], names: Mapping[Kind, str]) -> Document:
    """The same paths as OpenAPI v2 has them."""
    listing = _resource_list(group, version, {"schema": {"$ref": V2 + _META + "APIResourceList"}})
    paths: Document = {_root(group, version): {"get": listing}}
    for operation in _operations(group, version, resources, names):
        item = paths.setdefault(operation.path, {})
        item.setdefault(
            "parameters",
            [_parameter("path", n, required=True, **_schema(n)) for n in _in_path(operation.path)]
            + [_parameter("query", "pretty", **_schema("pretty"))],
        )
        found = _common(group, version, operation)
        found["consumes"] = list(_patches(operation)) if operation.action == "patch" else ["*/*"]
        found["produces"] = list(_JSON + (_WATCH if operation.action == "list" else ()))
        found["schemes"] = ["https"]
        found["parameters"] = [_parameter("query", n, **_schema(n)) for n in _parameters(operation)]
        if operation.body:
            body = {"in": "body", "name": "body", "schema": {"$ref": V2 + operation.body}}
            found["parameters"].insert(0, {**body, "required": operation.action in ("post", "put", "patch")})
        answer = {"$ref": V2 + operation.answer} if operation.answer else {"type": "string"}
        found["responses"] = {
            code: {"description": text, "schema": answer} for code, text in _codes(operation.action).items()
        }
        found["responses"]["401"] = {"description": "Unauthorized"}
        item[operation.method] = found
    return paths


def _patches(operation: Operation) -> tuple[str, ...]:
    return (*_PATCHES, _STRATEGIC) if operation.strategic else _PATCHES


def _content(media: Iterable[str], where: str) -> Document:
    return {name: {"schema": {"$ref": where + _META + "APIResourceList"}} for name in media}


def _resource_list(group: str, version: str, answer: Document) -> Document:
    return {
        "description": "get available resources",
        "operationId": f"get{_title((group or 'core').removesuffix('.k8s.io'))}{_title(version)}APIResources",
        "responses": {"200": {"description": "OK", **answer}, "401": {"description": "Unauthorized"}},
    }
