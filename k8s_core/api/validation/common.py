"""What every validator uses: reading fields that may be missing, and the checks that have one message everywhere.

A validator is a generator of field errors over plain dicts. Values have the schema's types (decoding saw to
that) but any of them may be missing or null, which reads as Go's zero value.
"""

import difflib
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError, invalid, not_supported, required
from k8s_core.api.validation.formats import NEGATIVE

Errors = Iterator[FieldError]
NameCheck = Callable[[str], list[str]]

# The same few names are checked with every write.
check_label: Final = functools.lru_cache(maxsize=4096)(names.dns1123_label)
check_subdomain: Final = functools.lru_cache(maxsize=4096)(names.dns1123_subdomain)
check_qualified: Final = functools.lru_cache(maxsize=4096)(names.qualified_name)
check_ip: Final = functools.lru_cache(maxsize=4096)(names.ip_address)
check_label_value: Final = functools.lru_cache(maxsize=4096)(names.label_value)

IMMUTABLE: Final = "field is immutable"
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
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


def dns_label(path: str, value: str) -> Errors:
    """A DNS label (RFC 1123)."""
    yield from bad(path, value, check_label(value))


def dns_subdomain(path: str, value: str) -> Errors:
    """A DNS subdomain (RFC 1123)."""
    yield from bad(path, value, check_subdomain(value))


def qualified_name(path: str, value: str) -> Errors:
    """A name with an optional DNS prefix."""
    yield from bad(path, value, check_qualified(value))


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


def port_number(path: str, value: int) -> Errors:
    """A port from 1 to 65535."""
    yield from bad(path, value, names.port_number(value))


def port_or_name(path: str, value: int | str | None) -> Errors:
    """A port's number or its name."""
    value = 0 if value is None else value
    yield from bad(path, value, names.port_name(value) if isinstance(value, str) else names.port_number(value))


def ip_address(path: str, value: str) -> Errors:
    """An IP address."""
    yield from bad(path, value, check_ip(value))


def non_special_ip(path: str, value: str) -> Errors:
    """An address that other nodes can reach: not unspecified, loopback or link-local."""
    address = names.parse_ip(value)
    if address is None:
        yield invalid(path, value, "must be a valid IP address")
    elif address.is_unspecified:
        yield invalid(path, value, f"may not be unspecified ({value})")
    elif address.is_loopback:
        yield invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif address.is_link_local:
        yield invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif address.is_multicast and (str(address).startswith(("224.0.0.", "ff02:"))):
        yield invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def int_or_percent(path: str, value: int | str | None) -> Errors:
    """A number that is not negative, or a share such as 25%."""
    if isinstance(value, str):
        yield from bad(path, value, names.percent(value))
    elif (value or 0) < 0:
        yield invalid(path, value, NEGATIVE)


def not_above_all(path: str, value: int | str | None) -> Errors:
    """A share of at most 100%."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def percent_or_int(value: int | str | None) -> int:
    """The number in an int-or-percent, whatever it counts."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        return int(digits) if digits.isascii() and digits.isdigit() else 0
    return value or 0


def no_backsteps(value: str, path: str) -> Errors:
    """A path that does not go up."""
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def descending_path(value: str, path: str) -> Errors:
    """A relative path that does not go up."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from no_backsteps(value, path)


def local_path(value: str, path: str) -> Errors:
    """A relative path that does not start with `..`."""
    yield from descending_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        yield invalid(path, value, "must not start with '..'")


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
