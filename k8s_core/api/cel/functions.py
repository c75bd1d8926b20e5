"""The functions that Kubernetes adds to CEL: strings, lists, sets, math, quantities, versions, addresses, URLs.

The library hands plain values to them, so a quantity, an address and a URL are texts in canonical form, and what
has no such form (a version, a format) is a map. Stands for apiserver's pkg/cel/library and cel-go's ext.
"""

import base64
import functools
import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from k8s_core.api import names, quantity

Functions = dict[str, Callable[..., Any]]
Formats = dict[str, Callable[[str], list[str]]]


def _strings() -> Functions:
    def split(text: str, separator: str, limit: int = -1) -> list[str]:
        if limit == 0:
            return []
        parts = list(text) if not separator else text.split(separator)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], separator.join(parts[limit - 1 :])]

    def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
        found = [match[0] for match in re.finditer(pattern, text)]
        return found if limit < 0 else found[:limit]

    def quote(text: str) -> str:
        inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{inner}"'

    return {
        "charAt": lambda text, index: text[index : index + 1],
        "lowerAscii": str.lower,
        "upperAscii": str.upper,
        "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
        "split": split,
        "substring": lambda text, start, end=None: text[start:end],
        "trim": str.strip,
        "reverse": lambda value: value[::-1],
        "join": lambda items, separator="": separator.join(items),
        "find": lambda text, pattern: (re.search(pattern, text) or [""])[0],
        "findAll": find_all,
        "format": formatted,
        "strings_quote": quote,
        "jsonpatch_escapeKey": lambda text: text.replace("~", "~0").replace("/", "~1"),
        "bool": lambda value: value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()],
        "base64_encode": lambda value: base64.b64encode(bytes(value)).decode(),
        "base64_decode": lambda text: base64.b64decode(text + "=" * (-len(text) % 4)),
    }


_CLAUSE: Final = re.compile(r"%(?:\.(\d+))?(.)")


def formatted(template: str, values: list[Any]) -> str:
    """`'%s: %d'.format([...])`: Go's verbs, as cel-go allows them."""
    rest = iter(values)

    def clause(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        value, digits = next(rest), int(match[1] or 6)
        match match[2]:
            case "s":
                return shown(value)
            case "d":
                return str(int(value))
            case "f":
                return f"{value:.{digits}f}"
            case "e":
                return f"{value:.{digits}e}"
            case "b":
                return f"{int(value):b}"
            case "o":
                return f"{value:o}"
            case "x" | "X":
                text = value.encode().hex() if isinstance(value, str) else f"{value:x}"
                return text.upper() if match[2] == "X" else text
        raise ValueError(f'could not parse formatting clause: unrecognized formatting clause "{match[2]}"')

    try:
        return _CLAUSE.sub(clause, template)
    except StopIteration:
        raise ValueError(f"index {len(values)} out of range") from None


def shown(value: Any) -> str:
    """A value as `%s` shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lists() -> Functions:
    def flatten(items: list[Any], depth: int = 1) -> list[Any]:
        out: list[Any] = []
        for item in items:
            out += flatten(item, depth - 1) if isinstance(item, list) and depth else [item]
        return out

    def index(items: Any, item: Any, start: int = 0) -> int:
        if isinstance(items, str):
            return items.find(item, start)
        return items.index(item) if item in items else -1

    def last_index(items: Any, item: Any) -> int:
        if isinstance(items, str):
            return items.rfind(item)
        return len(items) - 1 - items[::-1].index(item) if item in items else -1

    def pairs(value: Any) -> list[list[Any]]:
        return [list(pair) for pair in (value.items() if isinstance(value, dict) else enumerate(value))]

    return {
        "indexOf": index,
        "lastIndexOf": last_index,
        "sum": sum,
        "min": _of(min),
        "max": _of(max),
        "isSorted": lambda items: items == sorted(items),
        "flatten": flatten,
        "distinct": lambda items: [item for at, item in enumerate(items) if item not in items[:at]],
        "sort": sorted,
        "slice": lambda items, start, end: items[start:end],
        "first": lambda items: items[0],
        "last": lambda items: items[-1],
        "lists_range": lambda count: list(range(count)),
        "sortedBy": lambda keyed: [item for item, _ in sorted(keyed, key=lambda pair: pair[1])],
        "pairs": pairs,
        "fromPairs": dict,
        "sets_contains": lambda items, wanted: all(item in items for item in wanted),
        "sets_intersects": lambda items, wanted: any(item in items for item in wanted),
        "sets_equivalent": lambda one, other: all(i in other for i in one) and all(i in one for i in other),
    }


def _of(choose: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    return lambda *values: choose(values[0] if len(values) == 1 and isinstance(values[0], list) else values)


def _numbers() -> Functions:
    return {
        "math_greatest": _of(max),
        "math_least": _of(min),
        "math_ceil": lambda value: float(math.ceil(value)),
        "math_floor": lambda value: float(math.floor(value)),
        "math_round": lambda value: float(math.copysign(math.floor(abs(value) + 0.5), value)),
        "math_trunc": lambda value: float(math.trunc(value)),
        "math_abs": abs,
        "math_sign": lambda value: type(value)((value > 0) - (value < 0)),
        "math_sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
        "math_isNaN": math.isnan,
        "math_isInf": math.isinf,
        "math_isFinite": math.isfinite,
        "math_bitAnd": lambda one, other: one & other,
        "math_bitOr": lambda one, other: one | other,
        "math_bitXor": lambda one, other: one ^ other,
        "math_bitNot": lambda value: ~value,
        "math_bitShiftLeft": lambda value, count: value << count,
        "math_bitShiftRight": lambda value, count: value >> count,
    }


# --- quantities and versions -------------------------------------------------------------------------------------

_SEMVER: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def semver(text: str, normalise: bool = False) -> dict[str, Any]:
    """A semantic version as a map that compares equal to its like."""
    if normalise:
        head, mark, tail = re.fullmatch(r"v?([\d.]*)([-+]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        numbers = [*(part.lstrip("0") or "0" for part in head.split(".")), "0", "0"]
        text = ".".join(numbers[:3]) + mark + tail
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise ValueError("No Major.Minor.Patch elements found" if text.count(".") < 2 else f'invalid version "{text}"')
    return {"major": int(match[1]), "minor": int(match[2]), "patch": int(match[3]), "pre": match[4] or ""}


def _compare(one: Any, other: Any) -> int:
    if isinstance(one, dict):
        left, right = _rank(one), _rank(other)
        return (left > right) - (left < right)
    return quantity.compare(one, other)


def _rank(version: dict[str, Any]) -> tuple[Any, ...]:
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in version["pre"].split(".") if p]
    return version["major"], version["minor"], version["patch"], not parts, parts


def _quantities() -> Functions:
    def plus(sign: int) -> Callable[[str, Any], str]:
        return lambda one, other: quantity.canonical(
            quantity.format(quantity.nanos(one) + sign * quantity.nanos(other))
        )

    return {
        "isQuantity": _is(quantity.parse),
        "quantity": quantity.canonical,
        "add": plus(1),
        "sub": plus(-1),
        "asInteger": quantity.value,
        "isInteger": lambda text: quantity.nanos(text) % 10**9 == 0,
        "asApproximateFloat": lambda text: quantity.nanos(text) / 10**9,
        "sign": lambda text: (quantity.nanos(text) > 0) - (quantity.nanos(text) < 0),
        "isSemver": _is(semver),
        "semver": semver,
        "major": lambda version: version["major"],
        "minor": lambda version: version["minor"],
        "patch": lambda version: version["patch"],
        "compareTo": _compare,
        "isLessThan": lambda one, other: _compare(one, other) < 0,
        "isGreaterThan": lambda one, other: _compare(one, other) > 0,
    }


def _is(read: Callable[..., Any]) -> Callable[..., bool]:
    def check(*values: Any) -> bool:
        try:
            read(*values)
        except (ValueError, TypeError):
            return False
        return True

    return check


# --- addresses and URLs ------------------------------------------------------------------------------------------


def _network(text: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network":
    return ipaddress.ip_network(text, strict=False)


def _cidr(text: str) -> str:
    address, _, bits = text.partition("/")
    if not bits:
        raise ValueError(f"CIDR {text!r} parse error during conversion from string: no '/'")
    return f"{ipaddress.ip_address(address)}/{_network(text).prefixlen}"


def _contains(network: str, other: str) -> bool:
    inner, outer = _network(other), _network(network)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return text


def _addresses() -> Functions:
    address = ipaddress.ip_address
    return {
        "isIP": _is(address),
        "ip": lambda text: str(address(text)),
        "ipOf": lambda text: text.partition("/")[0],
        "ip_isCanonical": lambda text: str(address(text)) == text,
        "family": lambda text: ipaddress.ip_interface(text).version,
        "isUnspecified": lambda text: address(text).is_unspecified,
        "isLoopback": lambda text: address(text).is_loopback,
        "isLinkLocalMulticast": lambda text: text.startswith(("224.0.0.", "ff02:")),
        "isLinkLocalUnicast": lambda text: address(text).is_link_local,
        "isGlobalUnicast": lambda text: (
            not ((a := address(text)).is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local)
        ),
        "isCIDR": _is(_cidr),
        "cidr": _cidr,
        "containsIP": lambda network, text: address(text) in _network(network),
        "containsCIDR": _contains,
        "prefixLength": lambda network: _network(network).prefixlen,
        "masked": lambda network: str(_network(network)),
        "isURL": _is(_url),
        "url": _url,
        "getScheme": lambda text: urlsplit(text).scheme,
        "getHost": lambda text: urlsplit(text).netloc,
        "getHostname": lambda text: urlsplit(text).hostname or "",
        "getPort": lambda text: str(urlsplit(text).port or ""),
        "getEscapedPath": lambda text: urlsplit(text).path,
        "getQuery": lambda text: parse_qs(urlsplit(text).query, keep_blank_values=True),
    }


# --- times -------------------------------------------------------------------------------------------------------


def _times() -> Functions:
    def part(of_time: Callable[[datetime], int], of_span: Callable[[timedelta], int] | None = None) -> Any:
        def read(value: Any, zone: str = "") -> int:
            if isinstance(value, timedelta):
                assert of_span is not None
                return of_span(value)
            return of_time(value.astimezone(_zone(zone)) if zone else value)

        return read

    return {
        "getFullYear": part(lambda t: t.year),
        "getMonth": part(lambda t: t.month - 1),
        "getDate": part(lambda t: t.day),
        "getDayOfMonth": part(lambda t: t.day - 1),
        "getDayOfWeek": part(lambda t: t.isoweekday() % 7),
        "getDayOfYear": part(lambda t: t.timetuple().tm_yday - 1),
        "getHours": part(lambda t: t.hour, lambda d: int(d.total_seconds() / 3600)),
        "getMinutes": part(lambda t: t.minute, lambda d: int(d.total_seconds() / 60)),
        "getSeconds": part(lambda t: t.second, lambda d: int(d.total_seconds())),
        "getMilliseconds": part(lambda t: t.microsecond // 1000, lambda d: d.microseconds // 1000),
    }


def _zone(text: str) -> Any:
    if match := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", text):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    return ZoneInfo(text)


# --- formats -----------------------------------------------------------------------------------------------------

_UUID: Final = re.compile(r"(?i)[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
_FORMATS: Final[Formats] = {
    "dns1123Label": names.dns1123_label,
    "dns1123Subdomain": names.dns1123_subdomain,
    "dns1035Label": names.dns1035_label,
    "qualifiedName": names.qualified_name,
    "labelValue": names.label_value,
    "uri": lambda text: [] if _is(_url)(text) else ["invalid URI"],
    "uuid": lambda text: (
        [] if re.fullmatch(r"(?i)[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", text) else ["not a UUID"]
    ),
    "byte": lambda text: [] if _is(lambda: base64.b64decode(text, validate=True))() else ["invalid base64"],
    "date": lambda text: [] if _is(lambda: datetime.strptime(text, "%Y-%m-%d"))() else ["invalid date"],
    "datetime": lambda text: [] if _is(lambda: datetime.fromisoformat(text))() else ["invalid datetime"],
}


def _formats(optional: Any) -> Functions:
    def validate(format: dict[str, str], text: str) -> Any:
        problems = _FORMATS[format["format"]](text)
        return optional.of(problems) if problems else optional.none()

    named: Functions = {f"format_{name}": functools.partial(dict, format=name) for name in _FORMATS}
    return {
        **named,
        "format_named": lambda name: optional.of({"format": name}) if name in _FORMATS else optional.none(),
        "validate": validate,
    }


# --- optional values ---------------------------------------------------------------------------------------------


def _optionals(optional: Any) -> Functions:
    def index(value: Any, key: Any) -> Any:
        if isinstance(value, optional):
            if not value.has_value():
                return value
            value = value.value()
        if isinstance(value, dict):
            return optional.of(value[key]) if key in value else optional.none()
        inside = isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value)
        return optional.of(value[key]) if inside else optional.none()

    def present(items: list[Any]) -> list[Any]:
        return [item.value() for item in items if item.has_value()]

    return {
        "optionalIndex": index,
        "present": present,
        "presentMap": lambda entries: {key: item.value() for key, item in entries if item.has_value()},
        "asList": lambda item: [item.value()] if item.has_value() else [],
        "asOptional": lambda items: optional.of(items[0]) if items else optional.none(),
    }


@functools.cache
def library() -> Functions:
    """All of them, by the names that syntax.py writes."""
    import cel  # noqa: PLC0415  only clusters with rules or policies pay for it

    optional = cel.OptionalValue
    return {**_strings(), **_lists(), **_numbers(), **_quantities(), **_addresses(), **_times(),
            **_formats(optional), **_optionals(optional)}  # fmt: skip
