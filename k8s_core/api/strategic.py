"""Strategic merge patch: a merge that knows which lists have keys.

Stands for apimachinery's `util/strategicpatch`. The schema says how a field merges (patch_strategy,
merge_key); the patch may add directives: `$patch: replace|delete`, `$setElementOrder/<list>`,
`$deleteFromPrimitiveList/<list>`, `$retainKeys`. Only applying is here: making such patches is kubectl's
business. Order of lists is upstream's: elements of the patch come in its order, and before those elements
that only the server has, unless both were there before.
"""

from collections.abc import Iterable
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.schema import Type

_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder"
_DELETE: Final = "$deleteFromPrimitiveList"


class PatchError(Exception):
    """The patch does not fit the object; the text is apimachinery's."""


class BadFormat(PatchError):
    """A directive is malformed: a bad request."""


def merge(original: Object, patch: Object, type: Type) -> Object:
    """`patch` merged into `original`; both are consumed. Raises PatchError."""
    if _DIRECTIVE in patch:
        return _directive(patch)
    _retain_keys(original, patch)
    for key in [key for key in patch if key.startswith(_ORDER)]:
        _merge_in_order(original, patch, key, type)
    for key, value in patch.items():
        deletes = key.startswith(_DELETE)
        name = _listed(key, _DELETE) if deletes else key
        if value is None:
            original.pop(name, None)
        elif name not in original or _go_type(original[name]) != _go_type(value):
            if not deletes:
                _put(original, name, value)
        elif isinstance(value, dict):
            field = _field(type, name)
            if "replace" in field.patch_strategy:
                original[name] = value
            else:
                original[name] = merge(original[name], value, field)
        elif isinstance(value, list):
            field = _field(type, name)
            if deletes:
                original[name] = [item for item in original[name] if item not in value]
            elif "merge" in field.patch_strategy:
                original[name] = _merge_lists(original[name], value, field)
            else:
                original[name] = value
        else:
            original[name] = value
    return original


def go_format(value: Any) -> str:
    """A JSON value as Go's `%v` prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_format(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_format(item) for item in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _directive(patch: Object) -> Object:
    directive = patch.pop(_DIRECTIVE)
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    raise PatchError(f"unknown patch type: {directive} in map: {go_format({**patch, _DIRECTIVE: directive})}")


def _retain_keys(original: Object, patch: Object) -> None:
    if _RETAIN not in patch:
        return
    retained = patch.pop(_RETAIN)
    if not isinstance(retained, list):
        raise BadFormat("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE, _ORDER)) and key not in retained:
            raise BadFormat("invalid patch format of retainKeys")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _merge_in_order(original: Object, patch: Object, directive: str, type: Type) -> None:
    """Merge one list that the patch gives a `$setElementOrder` for."""
    name = _listed(directive, _ORDER)
    order = _list(patch.pop(directive))
    field = _field(type, name)
    if name not in original and name not in patch:
        return
    before, change = _list(original.get(name, [])), _list(patch.pop(name, []))
    _check_order(change, order, field.merge_key)
    if not change:
        merged = before
    elif name not in original:
        merged = _without_directives(change)
    elif "merge" in field.patch_strategy:
        merged = _merge_lists(before, change, field)
    else:
        merged = change
    original[name] = _in_order(merged, order, before, field.merge_key)


def _check_order(change: list[Any], order: list[Any], key: str) -> None:
    """The patch's elements must come in the order that it sets itself."""
    if not change or not order:
        return
    wanted = iter(_identities(order, key))
    for identity in _identities([item for item in change if not _has_directive(item)], key):
        if not any(identity == candidate for candidate in wanted):
            raise PatchError(
                f"The order in patch list:\n{go_format(change)}\n doesn't match {_ORDER} list:\n{go_format(order)}\n"
            )


def _merge_lists(original: list[Any], patch: list[Any], field: Type) -> list[Any]:
    if not original and not patch:
        return original
    kinds = {_go_type(item) for item in (*original, *patch)}
    if "[]interface {}" in kinds:
        raise BadFormat("lists of lists are not supported")
    if len(kinds) > 1:
        raise PatchError(f"list element types are not identical: [{go_format(original)} {go_format(patch)}]")
    if kinds != {"map[string]interface {}"}:
        return _in_order(_distinct([*original, *patch]), patch, original, "")
    key = field.merge_key
    if not key:
        raise PatchError("cannot merge lists without merge key for struct")
    there_before = original
    original, patch = _special_elements(original, patch, key)
    merged = list(original)
    for item in patch:
        identity = _identity(item, key)
        for i, there in enumerate(merged):
            if there.get(key) == identity:
                merged[i] = merge(there, item, field.items or field)
                break
        else:
            _discard_nulls(item)
            merged.append(item)
    # What is added takes the room of what was deleted, and so a place in the old order: a slip of upstream's
    # slices that its tests hold on to.
    there_before[:] = merged[: len(there_before)]
    return _in_order(merged, patch, original, key)


def _special_elements(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the list's `$patch: delete` and `$patch: replace`; what is left to merge."""
    plain = [item for item in patch if _DIRECTIVE not in item]
    replace = False
    for item in patch:
        directive = item.get(_DIRECTIVE, plain)
        if directive == "delete":
            gone = _identity(item, key)
            original = [there for there in original if there.get(key) != gone]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch")
        elif directive is not plain:
            raise PatchError(f"unknown patch type: {go_format(directive)} in map: {go_format(item)}")
    return (plain, []) if replace else (original, plain)


def _in_order(merged: list[Any], order: list[Any], server_order: list[Any], key: str) -> list[Any]:
    """Elements that `order` names in that order; the others among them by their old neighbours."""
    ranks, old = _ranks(order, key), _ranks(server_order, key)
    # Items are tagged with their identity once; comparing is then by table.
    tagged = list(zip(_identities(merged, key), merged, strict=True))
    ours = sorted((pair for pair in tagged if _hashed(pair[0]) in ranks), key=lambda pair: ranks[_hashed(pair[0])])
    others = sorted(
        (pair for pair in tagged if _hashed(pair[0]) not in ranks), key=lambda pair: old.get(_hashed(pair[0]), -1)
    )
    result: list[Any] = []
    i = j = 0
    while i < len(others) and j < len(ours):
        left, right = old.get(_hashed(others[i][0])), old.get(_hashed(ours[j][0]))
        if left is not None and right is not None and left < right:
            result.append(others[i][1])
            i += 1
        else:
            result.append(ours[j][1])
            j += 1
    return [*result, *(item for _, item in others[i:]), *(item for _, item in ours[j:])]


def _ranks(items: list[Any], key: str) -> dict[Any, int]:
    ranks: dict[Any, int] = {}
    for i, identity in enumerate(_identities(items, key)):
        ranks.setdefault(_hashed(identity), i)
    return ranks


def _hashed(identity: Any) -> Any:
    """A merge key is a scalar; anything else a client may have put there is compared by its text."""
    return go_format(identity) if isinstance(identity, (dict, list)) else (identity, isinstance(identity, bool))


def _identities(items: Iterable[Any], key: str) -> list[Any]:
    return [_identity(item, key) if key else item for item in items]


def _identity(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise PatchError(f"expected a map[string]interface {{}}, but received a {_go_type(item)}")
    if key not in item:
        raise PatchError(f"map: {go_format(item)} does not contain declared merge key: {key}")
    return item[key]


def _distinct(items: list[Any]) -> list[Any]:
    """Duplicates go, and the last element takes their place: upstream's order."""
    items, i = list(items), 0
    while i < len(items):
        j = i + 1
        while j < len(items):
            if items[i] == items[j]:
                items[j] = items[-1]
                items.pop()
            else:
                j += 1
        i += 1
    return items


def _put(original: Object, name: str, value: Any) -> None:
    _discard_nulls(value)
    if _has_directive(value):
        original.pop(name, None)
    else:
        original[name] = _without_directives(value)


def _discard_nulls(value: Any) -> None:
    if isinstance(value, dict):
        for key in [key for key, item in value.items() if item is None]:
            del value[key]
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _discard_nulls(item)


def _has_directive(value: Any) -> bool:
    return isinstance(value, dict) and _DIRECTIVE in value


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_directives(item) for key, item in value.items() if not _has_directive(item)}
    if isinstance(value, list):
        return [_without_directives(item) for item in value if not _has_directive(item)]
    return value


def _listed(key: str, prefix: str) -> str:
    """The list that a directive such as "$setElementOrder/containers" is about."""
    found, slash, name = key.partition("/")
    if not slash or found != prefix:
        what = "primitive list" if prefix == _DELETE else "setElementOrder list"
        raise BadFormat(f"invalid patch format of {what}")
    return name


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PatchError(f"expected a []interface {{}}, but received a {_go_type(value)}")
    return value


def _field(type: Type, name: str) -> Type:
    if type.kind != "object":
        raise PatchError(f"merging an object in json but data type is not struct, instead is: {type.kind}")
    field = type.fields.get(name)
    if field is None:
        struct = type.name.rpartition(".")[2]
        raise PatchError(f'unable to find api field in struct {struct} for the json field "{name}"')
    return field


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = ((str, "string"), (int, "int64"), (float, "float64"), (dict, "map[string]interface {}"))
    found = next((name for kind, name in names if isinstance(value, kind)), "")
    return found or ("[]interface {}" if isinstance(value, list) else "%!s(<nil>)")
