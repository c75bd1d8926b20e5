"""What every validator uses: reading fields that may be missing, and the checks that have one message everywhere.

A validator is a generator of field errors over plain dicts. Values have the schema's types (decoding saw to
that) but any of them may be missing or null, which reads as Go's zero value.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import FieldError, invalid, not_supported, required
from k8s_core.api.validation.formats import NEGATIVE

Errors = Iterator[FieldError]
NameCheck = Callable[[str], list[str]]

IMMUTABLE: Final = "field is immutable"
MAX_INT32: Final = 2**31 - 1


def sub(node: Object, *path: str) -> Object:
    """The object at the end of the path, or an empty one."""
    for name in path:
        node = node.get(name) or {}
    return node


def listed(node: Object, name: str) -> list[Any]:
    """A list field, or an empty list."""
    return node.get(name) or []


def strings(node: Object, name: str) -> list[str]:
    """A list of strings, or an empty list."""
    return [item or "" for item in node.get(name) or ()]


def each(node: Object, name: str, path: str) -> Iterator[tuple[str, Object]]:
    """The objects of a list field, each with its own path."""
    for index, item in enumerate(node.get(name) or ()):
        yield f"{path}.{name}[{index}]", item or {}


def earlier(items: list[Any], path: str) -> list[Object]:
    """The objects of a list before the one at this path."""
    return [item or {} for item in items[: int(path[path.rindex("[") + 1 : -1])]]


def text(node: Object, name: str) -> str:
    """A string field, or ""."""
    return node.get(name) or ""


def number(node: Object, name: str) -> int:
    """An integer field, or 0."""
    return node.get(name) or 0


def bad(path: str, value: Any, messages: Iterable[str]) -> Errors:
    """One `Invalid value` for each message."""
    for message in messages:
        yield invalid(path, value, message)


def non_negative(node: Object, name: str, path: str) -> Errors:
    """A number that is not below zero, if it is there."""
    if number(node, name) < 0:
        yield invalid(f"{path}.{name}", node[name], NEGATIVE)


def one_of(node: Object, name: str, path: str, allowed: Sequence[str], *, optional: bool = False) -> Errors:
    """A value of an enumeration; missing is an error of its own unless it is optional."""
    value = node.get(name)
    if value is None and optional:
        return
    if not value and not optional:
        yield required(f"{path}.{name}")
    elif value not in allowed:
        yield not_supported(f"{path}.{name}", value, allowed)


def immutable(path: str, new: Any, old: Any) -> Errors:
    """A field that may not change; empty and missing are the same, as in Go's semantic equality."""
    if new != old and (new or old):
        yield invalid(path, new, IMMUTABLE)


def percent_or_int(value: int | str | None) -> int:
    """The number in an int-or-percent, whatever it counts."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        return int(digits) if digits.isascii() and digits.isdigit() else 0
    return value or 0


def in_order(node: Object, fields: Iterable[str]) -> Object:
    """An object with its fields in the given order, as Go's JSON has them."""
    return {name: node[name] for name in fields if name in node}


def as_map(values: Object | None) -> Object | None:
    """Labels as messages show them: sorted, null when there are none."""
    return dict(sorted(values.items())) if values else None


def diff(old: Any, new: Any) -> str:
    """What changed, as upstream's `diff.Diff`: a unified diff of indented JSON (there, with Go's field names)."""
    before, after = (json.dumps(value, indent=1, sort_keys=True).splitlines() for value in (old, new))
    return "\n".join([*difflib.unified_diff(before, after, lineterm="")][2:])
