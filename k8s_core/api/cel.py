"""CEL, the expression language of validation rules and admission policies, with Kubernetes' library of functions.

`common-expression-language` (cel-rust) parses and runs; what Kubernetes adds is here: the string, list, regex,
quantity, IP and URL functions, and optional field selection (`object.?spec.?replicas.orValue(1)`), which is rewritten
into a call. Stands for apiserver's pkg/cel. Leaves out: type checking beyond names, cost limits, authorizer, format.
"""

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from k8s_core.api import quantity

Functions = dict[str, Callable[..., Any]]


class CelError(Exception):
    """An expression that cannot be compiled or evaluated; the text is for people."""


class Expression:
    """One compiled expression; raises CelError with cel-go's words for what is not declared."""

    def __init__(self, source: str, variables: Iterable[str]):
        import cel  # noqa: PLC0415  only clusters with rules or policies pay for it

        self.source = source
        try:
            self._program = cel.compile(_rewritten(source))
        except ValueError as error:
            raise CelError(f"compilation failed: {_syntax_error(str(error))}") from None
        for name in self._program.variables():
            if name not in variables and name not in _TYPES and name not in _bound(source):
                at = source.find(name)
                text = f"ERROR: <input>:1:{at + 1}: undeclared reference to '{name}' (in container '')"
                raise CelError(f"compilation failed: {text}\n | {source}\n | {'.' * at}^")

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The value for these variables."""
        import cel  # noqa: PLC0415

        context = cel.Context(variables=dict(values), functions=_functions())
        try:
            return self._program.execute(context)
        except Exception as error:
            text = str(error.args[0]) if error.args else str(error)
            raise CelError(f"no such key: {text}" if isinstance(error, KeyError) else text) from None


@functools.lru_cache(maxsize=4096)
def compiled(source: str, variables: tuple[str, ...]) -> Expression:
    """An expression, compiled once; CelError if it cannot be."""
    return Expression(source, variables)


_TYPES: Final = {"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type", "optional",
                 "cel", "timestamp", "duration", "math", "sets", "dyn"}  # fmt: skip


def _bound(source: str) -> set[str]:
    """Names that macros declare: the first argument of all, exists, map, filter and the like."""
    return set(re.findall(r"\.(?:all|exists|exists_one|existsOne|map|filter)\(\s*(\w+)\s*,", source))


def _syntax_error(text: str) -> str:
    return text.split("': ", 1)[-1].strip().replace("\n", "\n ")


# --- optional selection ------------------------------------------------------------------------------------------

_OPTIONAL: Final = re.compile(r"\.\?\s*(\w+)")
_MORE: Final = re.compile(r"\.(?!\?)(\w+)(?!\s*[\w(])")
_CLOSING: Final = {")": "(", "]": "["}


def _rewritten(source: str) -> str:
    """The expression with `a.?b.c` as `optionalField(optionalField(a, 'b'), 'c')`."""
    while match := _OPTIONAL.search(source):
        start, end = _operand(source, match.start()), match.end()
        text = f"optionalField({source[start : match.start()]}, '{match[1]}')"
        while more := _MORE.match(source, end):
            text, end = f"optionalField({text}, '{more[1]}')", more.end()
        source = source[:start] + text + source[end:]
    return source


def _operand(source: str, end: int) -> int:
    """Where the operand begins that ends at `end`: names, dots, calls and indices."""
    at = end
    while at > 0:
        char = source[at - 1]
        if char in _CLOSING:
            depth, at = 1, at - 1
            while at > 0 and depth:
                at -= 1
                depth += (source[at] == char) - (source[at] == _CLOSING[char])
        elif char.isalnum() or char in "_.":
            at -= 1
        else:
            break
    return at


# --- Kubernetes' functions ---------------------------------------------------------------------------------------


@functools.cache
def _functions() -> Functions:
    import cel  # noqa: PLC0415

    def optional_field(value: Any, name: str) -> Any:
        if isinstance(value, cel.OptionalValue):
            if not value.has_value():
                return value
            value = value.value()
        return cel.OptionalValue.of(value[name]) if isinstance(value, dict) and name in value else _none(cel)

    return {**_FUNCTIONS, "optionalField": optional_field}


def _none(cel: Any) -> Any:
    return cel.OptionalValue.none()


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    parts = list(text) if not separator else text.split(separator)
    return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], separator.join(parts[limit - 1 :])]


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    out: list[Any] = []
    for item in items:
        out += _flatten(item, depth - 1) if isinstance(item, list) and depth else [item]
    return out


def _distinct(items: list[Any]) -> list[Any]:
    return [item for index, item in enumerate(items) if item not in items[:index]]


def _is(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _url(text: str) -> str:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return text


def _in_cidr(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


_FUNCTIONS: Final[Functions] = {
    "charAt": lambda text, index: text[index : index + 1],
    "indexOf": lambda text, part, start=0: text.find(part, start) if isinstance(text, str) else _index(text, part),
    "lastIndexOf": lambda text, part: text.rfind(part) if isinstance(text, str) else _last_index(text, part),
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
    "split": _split,
    "substring": lambda text, start, end=None: text[start:end],
    "trim": lambda text: text.strip(),
    "reverse": lambda value: value[::-1],
    "join": lambda items, separator="": separator.join(items),
    "find": lambda text, pattern: (re.search(pattern, text) or [""])[0],
    "findAll": _find_all,
    "sum": sum,
    "isSorted": lambda items: items == sorted(items),
    "flatten": _flatten,
    "distinct": _distinct,
    "sort": sorted,
    "slice": lambda items, start, end: items[start:end],
    "isQuantity": _is(quantity.parse),
    "quantity": quantity.canonical,
    "isLessThan": lambda one, other: quantity.compare(one, other) < 0,
    "isGreaterThan": lambda one, other: quantity.compare(one, other) > 0,
    "compareTo": quantity.compare,
    "asInteger": quantity.value,
    "isInteger": lambda text: quantity.nanos(text) % 10**9 == 0,
    "asApproximateFloat": lambda text: quantity.nanos(text) / 10**9,
    "sign": lambda text: (quantity.nanos(text) > 0) - (quantity.nanos(text) < 0),
    "isIP": _is(ipaddress.ip_address),
    "ip": lambda text: str(ipaddress.ip_address(text)),
    "family": lambda text: ipaddress.ip_interface(text).version,
    "isCIDR": _is(lambda text: ipaddress.ip_network(text, strict=False)),
    "cidr": lambda text: str(ipaddress.ip_network(text, strict=False)),
    "containsIP": _in_cidr,
    "isURL": _is(_url),
    "url": _url,
    "getScheme": lambda text: urlsplit(text).scheme,
    "getHost": lambda text: urlsplit(text).netloc,
    "getHostname": lambda text: urlsplit(text).hostname or "",
    "getPort": lambda text: str(urlsplit(text).port or ""),
    "getEscapedPath": lambda text: urlsplit(text).path,
}


def _index(items: list[Any], item: Any) -> int:
    return items.index(item) if item in items else -1


def _last_index(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item) if item in items else -1
