"""The three patches that change an object: JSON patch (RFC 6902), JSON merge patch (RFC 7396), strategic merge.

Stands for kube-apiserver's `endpoints/handlers/patch.go` and the evanphx/json-patch it uses, whose leniencies
clients rely on: `replace` adds a missing member, negative indices count from the end, null equals absent. That
is why RFC 6902 is spelled out here and not left to a stricter library. Server-side apply is in `managedfields`.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from k8s_core import limits
from k8s_core.api import Object, strategic
from k8s_core.api.errors import StatusError, bad_request, request_too_large
from k8s_core.api.gojson import load, plain
from k8s_core.api.schema import Type

_ABSENT: Final = object()


def decode(kind: str, body: bytes) -> Any:
    """A patch's body as JSON of the form that `kind` wants; StatusError 400 or 413 otherwise."""
    if len(body) > limits.MAX_REQUEST_BODY:
        raise request_too_large(f"Request entity too large: limit is {limits.MAX_REQUEST_BODY}")
    try:
        patch = plain(load(body))
    except ValueError as error:
        raise bad_request(f"{'' if kind == 'strategic' else 'error decoding patch: '}{error}") from None
    _check_form(kind, patch)
    return patch


def apply(kind: str, original: Object, patch: Any, type: Type | None) -> Object:
    """`original` changed by `patch` of `kind` "json", "merge" or "strategic", as a private copy.

    Raises StatusError in kube-apiserver's words. The result is not yet decoded: it may hold unknown fields or nulls.
    """
    _check_form(kind, patch)
    # Both sides are copied, so that the result shares nothing with what is stored or with the caller's patch.
    original, patch = orjson.loads(orjson.dumps(original)), orjson.loads(orjson.dumps(patch))
    try:
        if kind == "json":
            return _json_patch(original, patch)
        if kind == "merge":
            return merge(original, patch)
        if type is None:
            raise strategic.BadFormat("strategic merge patch format is not supported")
        return strategic.merge(original, patch, type)
    except strategic.BadFormat as error:
        raise bad_request(str(error)) from None
    except strategic.PatchError as error:
        # Upstream lets these errors through with code 500 and no reason; kubectl prints the same for 400.
        raise StatusError(400, "", str(error)) from None
    except RecursionError:
        raise bad_request("exceeded max depth") from None


def merge(original: Object, patch: Object) -> Object:
    """RFC 7396: members of `patch` replace or (null) delete those of `original`, which is changed in place."""
    for key, value in patch.items():
        if value is None:
            original.pop(key, None)
        elif isinstance(value, dict):
            there = original.get(key)
            original[key] = merge(there if isinstance(there, dict) else {}, value)
        else:
            original[key] = value
    return original


def _check_form(kind: str, patch: Any) -> None:
    if kind == "json":
        if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
            wrong = _go_kind(patch) if not isinstance(patch, list) else "value"
            raise bad_request(
                f"error decoding patch: json: cannot unmarshal {wrong} into Go value of type []handlers.jsonPatchOp"
            )
        if len(patch) > limits.MAX_JSON_PATCH_OPERATIONS:
            raise request_too_large(
                "Request entity too large: The allowed maximum operations in a JSON patch is "
                f"{limits.MAX_JSON_PATCH_OPERATIONS}, got {len(patch)}"
            )
    elif not isinstance(patch, dict):
        if patch is None and kind == "merge":
            raise bad_request("Invalid JSON Patch")
        where = "error decoding patch: " if kind == "merge" else ""
        raise bad_request(
            f"{where}json: cannot unmarshal {_go_kind(patch)} into Go value of type map[string]interface {{}}"
        )


def _go_kind(value: Any) -> str:
    kinds = ((bool, "bool"), (str, "string"), (list, "array"), (dict, "object"), (type(None), "null"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "number")


# --- RFC 6902 ----------------------------------------------------------------------------------------------------


class _DoesNotApply(Exception):
    """An operation fails. Clients never see why: kube-apiserver answers every one alike."""


def _json_patch(document: Object, operations: list[Any]) -> Object:
    # One container around the document lets the path "" replace it like any other member.
    root = [document]
    try:
        for operation in operations:
            _OPERATIONS.get(str(operation.get("op")), _unknown)(root, operation)
        if not isinstance(root[0], dict):
            raise _DoesNotApply
    except _DoesNotApply:
        raise StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request", {}
        ) from None
    return root[0]


def _unknown(root: list[Any], operation: Object) -> None:
    raise _DoesNotApply


def _find(root: list[Any], path: Any) -> tuple[Any, Any]:
    """The container that a JSON pointer ends in, and the key (a string or an index) within it."""
    if not isinstance(path, str) or (path and path[0] != "/"):
        raise _DoesNotApply
    container: Any = root
    key: Any = 0
    for part in path.split("/")[1:]:
        container = _get(container, key)
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(container, list):
            key = _index(key, len(container))
        elif not isinstance(container, dict):
            raise _DoesNotApply
    return container, key


def _index(key: str, size: int) -> int:
    """An index from 0 to `size` (one past the end); "-" is the latter."""
    if key == "-":
        return size
    try:
        index = int(key)
    except ValueError:
        raise _DoesNotApply from None
    if not -size <= index <= size:
        raise _DoesNotApply
    return index


def _get(container: Any, key: Any) -> Any:
    """The value at `key`; an absent member of an object counts as null."""
    if isinstance(container, dict):
        return container.get(key)
    if key == len(container):
        raise _DoesNotApply
    return container[key]


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        # A negative index counts from the end of the list as it will be.
        container.insert(key if key >= 0 else key + len(container) + 1, value)


def _take(container: Any, key: Any) -> Any:
    if (key not in container) if isinstance(container, dict) else key == len(container):
        raise _DoesNotApply
    return container.pop(key)


def _add(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("path"))
    if container is root:
        raise _DoesNotApply
    _put(container, key, operation.get("value"))


def _remove(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("path"))
    if container is root:
        raise _DoesNotApply
    _take(container, key)


def _replace(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("path"))
    if isinstance(container, list):
        _get(container, key)
    container[key] = operation.get("value")


def _move(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("from"))
    if container is root:
        raise _DoesNotApply
    value = _take(container, key)
    _add(root, {"path": operation.get("path"), "value": value})


def _copy(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("from"))
    value = orjson.loads(orjson.dumps(_get(container, key)))
    _add(root, {"path": operation.get("path"), "value": value})


def _test(root: list[Any], operation: Object) -> None:
    container, key = _find(root, operation.get("path"))
    # Compared as JSON text: Python takes 1 for True, JSON does not.
    if not same(_get(container, key), operation.get("value")):
        raise _DoesNotApply


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal (Python's own `==` takes 1 for True)."""
    return one == other and orjson.dumps(one, option=_SORTED) == orjson.dumps(other, option=_SORTED)


_SORTED: Final = orjson.OPT_SORT_KEYS
_OPERATIONS: Final[dict[str, Callable[[list[Any], Object], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
