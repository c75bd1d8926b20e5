"""Sets of fields, as managedFields write them: FieldsV1.

Stands for structured-merge-diff's `fieldpath`. A set *is* its FieldsV1 object, so nothing is decoded or encoded on
the way: a key is a path element ("f:replicas", 'k:{"name":"web"}', 'v:"finalizer"', "i:0"), its value the set below
it; a node that is empty, or has the key ".", is itself in the set. Sets are never changed: an operation that changes
nothing returns the very set it was given. Keys stand in the order in which upstream writes them.
"""

import functools
from collections.abc import Iterator
from typing import Any, Final

import orjson

from k8s_core.api.field import quote

Set = dict[str, Any]
"""{"f:spec": {"f:replicas": {}}}: the root is never a member of its own set."""

EMPTY: Final[Set] = {}
SELF: Final = "."
# The only key fields of keyed lists that have a default in Kubernetes' API: container and Service ports.
_KEY_DEFAULTS: Final = {"protocol": "TCP"}


def is_member(node: Set) -> bool:
    """Whether the field that `node` stands for is in the set, apart from what is below it."""
    return not node or SELF in node


def with_member(node: Set) -> Set:
    """`node` with its own field in the set."""
    return node if is_member(node) else {SELF: EMPTY, **node}


def union(one: Set, other: Set) -> Set:
    """Fields that are in either set."""
    added: Set = {}
    for key, node in other.items():
        there = one.get(key)
        if there is None:
            added[key] = node
        elif there is not node and key != SELF:
            both = union(there, node) if there and node else with_member(there or node)
            if both is not there:
                added[key] = both
    if not added:
        return one
    merged = {**one, **added}
    return in_order(merged) if len(merged) > len(one) else merged


def difference(one: Set, other: Set) -> Set:
    """Fields of `one` that are not in `other`; a field stays though the one above it goes."""
    changes: Set = {}
    for key, node in one.items() if len(one) < len(other) else other.items():
        mine, theirs = (node, other.get(key)) if len(one) < len(other) else (one.get(key), node)
        if mine is None or theirs is None or key == SELF:
            continue
        rest = _subtract(mine, theirs)
        if rest is not mine:
            changes[key] = rest
    if not changes:
        return one
    return {key: changes.get(key, node) for key, node in one.items() if changes.get(key, node) is not None}


def _subtract(mine: Set, theirs: Set) -> Set | None:
    """What remains of a node, None if nothing does."""
    below = difference(mine, theirs) if mine else mine
    if not is_member(mine):
        return below or None  # an empty node would say "member"
    if not is_member(theirs):
        return EMPTY if len(below) == 1 and SELF in below else below
    return {key: node for key, node in below.items() if key != SELF} or None


def intersection(one: Set, other: Set) -> Set:
    """Fields that are in both sets."""
    result: Set = {}
    for key, mine in one.items():
        theirs = other.get(key)
        if theirs is None or key == SELF:
            continue
        below = intersection(mine, theirs)
        if is_member(mine) and is_member(theirs):
            result[key] = {SELF: EMPTY, **below} if below else below
        elif below:
            result[key] = below
    return result


def has(fields: Set, path: tuple[str, ...]) -> bool:
    """Whether the field at `path` is in the set."""
    node: Set | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and node is not None and is_member(node)


def insert(fields: Set, path: tuple[str, ...]) -> Set:
    """The set with the field at `path`."""
    node: Set = EMPTY
    for element in reversed(path):
        node = {element: node}
    return union(fields, node)


def paths(fields: Set, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of the set, at each level those with nothing above them first: the order of conflicts."""
    for element, node in fields.items():
        if element != SELF and is_member(node):
            yield (*above, element)
    for element, node in fields.items():
        if element != SELF:
            yield from paths(node, (*above, element))


def show(path: tuple[str, ...]) -> str:
    """A path as error messages print it: `.spec.containers[name="web"].image`."""
    return "".join(show_element(element) for element in path)


def show_element(element: str) -> str:
    """One path element: `.spec`, `[name="web"]`, `[="finalizer"]`, `[0]`."""
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return "." + text
    if kind == "k:":
        return "[" + ",".join(f"{name}={_show(value)}" for name, value in orjson.loads(text).items()) + "]"
    return f"[={_show(orjson.loads(text))}]" if kind == "v:" else f"[{text}]"


def _show(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    return orjson.dumps(value).decode()


def in_order(node: Set) -> Set:
    """One level's keys in upstream's order; what is below them is taken to be in order."""
    return {key: node[key] for key in sorted(node, key=_rank)} if len(node) > 1 else node


def canonical(node: Any) -> Set:
    """A set that a client wrote, in the form the server would write. Raises ValueError if it is none."""
    if not isinstance(node, dict):
        raise ValueError("managedFields parsing: expected an object")
    result: Set = {}
    for key, below in node.items():
        if key == SELF:
            result[SELF] = EMPTY
        elif len(key) < 2 or key[1] != ":":
            raise ValueError(f"missing colon: {key}")
        elif key[0] in "fkvi":  # elements of a later version's kind are dropped
            result[_canonical_element(key)] = canonical(below)
    return EMPTY if result.keys() == {SELF} else in_order(result)


def _canonical_element(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "k":
        fields = orjson.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(f"not a key: {text}")
        return "k:" + _json(dict(sorted(fields.items())))
    if kind == "v":
        return "v:" + _json(orjson.loads(text))
    return f"i:{int(text)}" if kind == "i" else element


def key_element(keys: tuple[str, ...], item: Any) -> str:
    """The path element of an item of a keyed list. Raises ValueError for what cannot be one."""
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise ValueError(f"associative list with keys may not have {what}")
    if len(keys) == 1 and (value := item.get(keys[0])).__class__ is str:
        return _named(keys[0], value)
    values = tuple([item.get(key, _KEY_DEFAULTS.get(key)) for key in keys])
    try:
        return _key_element(keys, values)
    except TypeError:  # a key that is itself an object or a list
        return _key_element.__wrapped__(keys, values)


def value_element(item: Any) -> str:
    """The path element of an item of a set. Raises ValueError for what cannot be one."""
    if isinstance(item, dict):
        raise ValueError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ValueError("not supported: associative list with lists as elements")
    if item is None:
        raise ValueError("associative list without keys has an element that's an explicit null")
    return "v:" + _json(item)


@functools.lru_cache(maxsize=16384)
def _named(key: str, value: str) -> str:
    return "k:" + _json({key: value})


@functools.lru_cache(maxsize=16384, typed=True)
def _key_element(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    fields = {key: value for key, value in sorted(zip(keys, values, strict=True)) if value is not None}
    if not fields:
        names = "[" + " ".join(quote(key) for key in keys) + "]"
        raise ValueError(
            f"associative list with keys has an element that omits all key fields {names} "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + _json(fields)


def _json(value: Any) -> str:
    text = orjson.dumps(value).decode()
    if "<" in text or ">" in text or "&" in text:
        # Go's encoding/json escapes what HTML would misread.
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


@functools.lru_cache(maxsize=65536)
def _rank(element: str) -> tuple[Any, ...]:
    """Where an element stands among others: names, then keys, values and indices, numbers by size."""
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return (1, text)
    if kind == "k:":
        return (2, *((name, *_rank_value(value)) for name, value in orjson.loads(text).items()))
    if kind == "v:":
        return (3, *_rank_value(orjson.loads(text)))
    return (4, int(text)) if kind == "i:" else (0,)


def _rank_value(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, (int, float)):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, _json(value))
