"""Objects seen through their schema: which fields they set, how two differ, how they merge, what is left of one.

Stands for structured-merge-diff's `typed`. Structs and maps are granular unless the schema says "atomic"; lists are
atomic unless it says "map" (items have keys) or "set". Where the schema is silent (type None: custom resources) maps
are granular and lists atomic. Values are never changed; what stays as it was is shared with the input.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from k8s_core.api.fieldpath import EMPTY, SELF, Set, in_order, is_member, key_element, show_element, value_element
from k8s_core.api.schema import Type
from k8s_core.api.strategic import go_format

ABSENT: Final = object()
"""No value at all; null is a value."""
_SCALARS: Final = frozenset((str, int, float, bool))


def granular(type: Type | None, value: Any) -> bool:
    """Whether ownership goes below this place, for a value of its kind."""
    if type is None:
        return isinstance(value, dict)
    if type.kind == "list":
        return type.list_type != "atomic"
    return type.kind in ("object", "map") and type.map_type != "atomic"


def element_of(type: Type, item: Any) -> str:
    """The path element of an item of a granular list; ValueError for what cannot be one."""
    return key_element(type.list_keys, item) if type.list_keys else value_element(item)


def _element(type: Type, item: Any) -> str:
    """The same for an item that is already stored; "" for one that lacks its key: nobody can own it."""
    try:
        return key_element(type.list_keys, item) if type.list_keys else value_element(item)
    except ValueError:
        return ""


def _below(type: Type | None, name: str) -> Type | None:
    if type is None:
        return None
    return type.fields.get(name) if type.kind == "object" else type.items


# --- comparing ---------------------------------------------------------------------------------------------------


Skip = Mapping[str, "Skip | None"]
"""Names of fields to leave out: None for a whole field, a Skip for some of those below it."""

NOTHING: Final[Skip] = {}


def compare(old: Any, new: Any, type: Type | None, skip: Skip = NOTHING) -> tuple[Set, Set]:
    """(changed or added fields, removed fields) between two objects; what is identical costs nothing."""
    changed: Set = {}
    removed: Set = {}
    one = {name: value for name, value in old.items() if name not in skip}
    other = {name: value for name, value in new.items() if name not in skip}
    _compare_maps(one, other, type, changed, removed)
    for name, inner in skip.items():
        if inner is not None and name in old and name in new and old[name] is not new[name]:
            more, less = compare(old[name], new[name], _below(type, name), inner)
            if more:
                changed["f:" + name] = more
            if less:
                removed["f:" + name] = less
    return in_order(changed), in_order(removed)


def _compare_maps(old: Any, new: Any, type: Type | None, changed: Set, removed: Set) -> None:
    for name, value in new.items():
        there = old.get(name, ABSENT)
        if there is value or there == value:
            continue
        if there is ABSENT:
            changed["f:" + name] = _whole(value, _below(type, name))
        elif value.__class__ in _SCALARS and there.__class__ is not dict:
            changed["f:" + name] = EMPTY
        else:
            _compare("f:" + name, there, value, _below(type, name), changed, removed)
    if not old.keys() <= new.keys():
        for name, value in old.items():
            if name not in new:
                removed["f:" + name] = _whole(value, _below(type, name))


def _compare(element: str, old: Any, new: Any, type: Type | None, changed: Set, removed: Set) -> None:
    """Note under `element` what changed or went between two different values; null counts as empty."""
    if old and new and old.__class__ is not new.__class__:  # without a schema a map may become something else
        changed[element] = _whole(new, type)
        if gone := {name: node for name, node in _whole(old, type).items() if name != SELF}:
            removed[element] = gone
        return
    if not (old or new) or not granular(type, old or new):
        changed[element] = EMPTY
        return
    more: Set = {}
    less: Set = {}
    if type is not None and type.kind == "list":
        _compare_lists(old or [], new or [], type, more, less)
    else:
        _compare_maps(old or {}, new or {}, type, more, less)
    if more:
        changed[element] = in_order(more)
    if less:
        removed[element] = in_order(less)


def _whole(value: Any, type: Type | None) -> Set:
    """The node of a value that came or went with all that is in it."""
    if not value or value.__class__ in _SCALARS or not granular(type, value):
        return EMPTY
    node: Set = {SELF: EMPTY}
    if type is not None and type.kind == "list":
        for element, items in _by_element(value, type).items():
            node[element] = _whole(items[0], type.items) if len(items) == 1 else EMPTY
        return in_order(node)
    for name in sorted(value):
        node["f:" + name] = _whole(value[name], _below(type, name))
    return node


def _compare_lists(old: list[Any], new: list[Any], type: Type, changed: Set, removed: Set) -> None:
    if type.list_keys and len(old) == len(new):
        # Mostly one item changes in its place: then no other needs to be looked at.
        key = type.list_keys[0]
        values = [item.get(key) for item in new]
        pairs = [(one, other) for one, other in zip(old, new, strict=True) if one is not other and one != other]
        elements = [_element(type, other) for _, other in pairs]
        if all(values.count(other.get(key)) == 1 for _, other in pairs) and elements == [
            _element(type, one) for one, _ in pairs
        ]:
            for element, (one, other) in zip(elements, pairs, strict=True):
                _compare(element, one, other, type.items, changed, removed)
            return
    before, after = _by_element(old, type), _by_element(new, type)
    for element in dict.fromkeys((*before, *after)):
        these, those = before.get(element, ()), after.get(element, ())
        if len(these) > 1 and len(those) > 1:  # duplicates are owned as a whole
            if these != those:
                changed[element] = EMPTY
        elif len(these) == len(those) == 1:
            if these[0] is not those[0] and these[0] != those[0]:
                _compare(element, these[0], those[0], type.items, changed, removed)
        else:
            if these:
                removed[element] = _whole(these[0], type.items) if len(these) == 1 else EMPTY
            if those:
                changed[element] = _whole(those[0], type.items) if len(those) == 1 else EMPTY


def _by_element(items: list[Any], type: Type) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        if element := _element(type, item):
            found.setdefault(element, []).append(item)
    return found


# --- the fields of an object -------------------------------------------------------------------------------------


def fields_of(value: Any, type: Type | None) -> Set:
    """The set of fields that an applied configuration sets."""
    fields: Set = {}
    if not granular(type, value):
        return fields
    if type is not None and type.kind == "list":
        for element, items in _by_element(value or [], type).items():
            below = EMPTY if len(items) > 1 else fields_of(items[0], type.items)
            fields[element] = {SELF: EMPTY, **below} if below else EMPTY
        return in_order(fields)
    for name, item in (value or {}).items():
        inner = _below(type, name)
        below = fields_of(item, inner)
        # A key of a map is set by being there, a field of a struct only by what is in it.
        named = type is not None and type.kind == "object" and inner is not None
        if named and not below and (item or isinstance(item, list)) and granular(inner, item):
            continue  # only empty lists in there: they set nothing
        fields["f:" + name] = below if named and below else {SELF: EMPTY, **below} if below else EMPTY
    return in_order(fields)


def with_named_fields(fields: Set, type: Type | None) -> Set:
    """The set with every struct field above its members added."""
    result: Set = {}
    for element, node in fields.items():
        if element == SELF or not node:
            result[element] = node
            continue
        inner = _below_element(type, element)
        below = with_named_fields(node, inner)
        if element.startswith("f:") and type is not None and type.kind == "object" and inner is not None:
            below = below if is_member(below) else {SELF: EMPTY, **below}
        result[element] = below
    return result


def _below_element(type: Type | None, element: str) -> Type | None:
    if element.startswith("f:"):
        return _below(type, element[2:])
    return type.items if type is not None and type.kind == "list" else None


# --- merging -----------------------------------------------------------------------------------------------------


def merge(old: Any, new: Any, type: Type | None) -> Any:
    """`new` over `old`, either of which may be ABSENT: granular places merge, the rest is replaced."""
    if new is ABSENT or (new is None and old and old is not ABSENT and granular(type, old)):
        return old
    if old is ABSENT or not old or not granular(type, new) or not isinstance(old, new.__class__):
        return new
    if isinstance(new, dict):
        merged = dict(old)
        for name, value in new.items():
            merged[name] = merge(old.get(name, ABSENT), value, _below(type, name))
        return merged
    if type is None or not isinstance(new, list):
        return new
    return list(_merge_lists(old, new, type))


def _merge_lists(old: list[Any], new: list[Any], type: Type) -> Iterator[Any]:
    """Items of both lists; those in both come in the new list's order, the others among their old neighbours."""
    left, right = [_element(type, item) for item in old], [_element(type, item) for item in new]
    # An element that is there twice is merged with none of its kind.
    before = {key: item if left.count(key) == 1 else ABSENT for key, item in zip(left, old, strict=True)}
    after = dict(zip(right, new, strict=True))
    shared = iter([key for key in right if key in before])
    next_shared = next(shared, None)
    done: set[str] = set()
    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            key = left[i]
            if key == right[j]:
                done.add(key)
                yield merge(before[key], after[key], type.items)
                i, j = i + 1, j + 1
                next_shared = next(shared, None)
                continue
            if key in after and next_shared is not None and next_shared != key:
                i += 1  # shared, but its turn is another
                continue
        if i < len(left):
            key = left[i]
            if key not in after:
                yield old[i]
                i += 1
                continue
            if key in done:
                i += 1
        if j < len(right):
            key = right[j]
            done.add(key)
            yield merge(before.get(key, ABSENT), after[key], type.items)
            j += 1
            if key == next_shared:
                next_shared = next(shared, None)


# --- removing ----------------------------------------------------------------------------------------------------


def remove(value: Any, fields: Set, type: Type | None) -> Any:
    """`value` without the fields of the set; a list or map that loses everything becomes null."""
    if not isinstance(value, (dict, list)):
        return value
    if not value or not granular(type, value):
        return None
    if isinstance(value, dict):
        return dict(_rest(((n, "f:" + n, v, _below(type, n)) for n, v in value.items()), fields)) or None
    assert type is not None
    return [item for _, item in _rest(((None, _element(type, v), v, type.items) for v in value), fields)] or None


def _rest(parts: Iterable[tuple[Any, str, Any, Type | None]], fields: Set) -> Iterator[tuple[Any, Any]]:
    for name, element, value, type in parts:
        node = fields.get(element)
        if node is None:
            yield name, value
        elif not is_member(node):
            yield name, remove(value, node, type)


# --- validating --------------------------------------------------------------------------------------------------


def validate(value: Any, type: Type | None) -> str:
    """What is wrong with an applied configuration in structured-merge-diff's words; "" if it fits its schema."""
    errors = list(_validate(value, type, ""))
    return errors[0] if len(errors) == 1 else "\n".join(["errors:", *("  " + e for e in errors)]) if errors else ""


def _validate(value: Any, type: Type | None, path: str) -> Iterator[str]:
    if type is None or value is None or type.kind == "any":
        return
    at = path + ": " if path else ""
    if type.kind in ("object", "map"):
        if not isinstance(value, dict):
            yield f"{at}expected map, got &{{{go_format(value)}}}"
            return
        for name, item in value.items():
            inner = _below(type, name)
            if inner is None and name not in type.fields and type.kind == "object" and not type.open:
                yield f"{path}.{name}: field not declared in schema"
                return
            yield from _validate(item, inner, f"{path}.{name}")
    elif type.kind == "list":
        if not isinstance(value, list):
            yield f"{at}expected list, got &{{{go_format(value)}}}"
            return
        yield from _validate_list(value, type, path, at)
    else:
        yield from (at + error for error in _validate_scalar(value, type.kind))


def _validate_list(value: list[Any], type: Type, path: str, at: str) -> Iterator[str]:
    keyed = type.list_type != "atomic"
    seen: set[str] = set()
    for i, item in enumerate(value):
        try:
            key = element_of(type, item) if keyed else f"i:{i}"
        except ValueError as error:
            yield f"{at}element {i}: {error}"
            return
        if key in seen:
            yield f"{at}duplicate entries for key {show_element(key)}"
        seen.add(key)
        yield from _validate(item, type.items, path + show_element(key))


def _validate_scalar(value: Any, kind: str) -> Iterator[str]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in ("integer", "number"):
        if not number:
            yield f"expected numeric (int or float), got {_go_name(value)}"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"expected boolean, got &{{{go_format(value)}}}"
    elif kind in ("int-or-string", "quantity", "time", "micro-time"):
        if isinstance(value, (dict, list)):
            yield f"expected any scalar, got &{{{go_format(value)}}}"
    elif not isinstance(value, str):
        yield f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"


def _go_name(value: Any) -> str:
    names = ((bool, "bool"), (str, "string"), (dict, "map[string]interface {}"))
    return next((name for kind, name in names if isinstance(value, kind)), "[]interface {}")


def _go_syntax(value: Any) -> str:
    """Go's %#v."""
    if isinstance(value, dict):
        inner = ", ".join(f'"{key}":{_go_syntax(value[key])}' for key in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    return f'"{value}"' if isinstance(value, str) else go_format(value)


def without_nulls(value: Any) -> Any:
    """A deep copy in which no member of an object is null: decoding would make nothing of it."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
