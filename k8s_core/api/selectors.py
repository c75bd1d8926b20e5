"""Label and field selectors: which objects a list, a watch or a controller means.

Stands for apimachinery's pkg/labels and pkg/fields; errors are ValueErrors with their text. Which fields a kind
can be selected by is known to the registry, not here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from k8s_core.api import names
from k8s_core.api.field import FieldError, invalid, not_supported

_IN, _NOT_IN, _EXISTS, _MISSING = "in", "notin", "exists", "!"
_EXACT: Final = ("=", "==", "!=")
_ORDER: Final = {"gt": ">", "lt": "<"}
_BINARY: Final = (_IN, _NOT_IN, *_EXACT, *_ORDER)
_EXPRESSION: Final = {"In": _IN, "NotIn": _NOT_IN, "Exists": _EXISTS, "DoesNotExist": _MISSING}


class Requirement(NamedTuple):
    """One condition on one label; operator is upstream's: in, notin, =, ==, !=, gt, lt, exists, !."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        have, limit = _integer(value), _integer(self.values[0])
        if have is None or limit is None:
            return False
        return have > limit if self.operator == "gt" else have < limit

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return "!" + self.key
            case "in" | "notin":
                return f"{self.key} {self.operator} ({values})"
        return f"{self.key}{_ORDER.get(self.operator, self.operator)}{values}"


class Selector:
    """Conditions on labels that must all hold; without any it matches everything."""

    __slots__ = ("nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda r: r.key))
        self.nothing = nothing

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether labels (of an object or a Pod template) fulfil every condition."""
        if self.nothing:
            return False
        return all(requirement.matches(labels or {}) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def parse_labels(text: str) -> Selector:
    """Read "a=b,c in (x,y),!d"; ValueError with Kubernetes' text if it cannot be read."""
    return Selector(_Parser(text).parse()) if text else EVERYTHING


def from_labels(labels: Mapping[str, str] | None) -> Selector:
    """The selector of a Service or ReplicationController: every label must be there; none select everything."""
    return Selector(Requirement(key, "=", (value,)) for key, value in (labels or {}).items())


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """The selector of a LabelSelector object: none selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    found = [_requirement(k, "=", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _EXPRESSION.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        found.append(_requirement(expression.get("key", ""), operator, tuple(expression.get("values") or ())))
    return Selector(found)


def _integer(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[-+]?[0-9]+", text, re.ASCII) else None


def _requirement(key: str, operator: str, values: tuple[str, ...], path: str = "") -> Requirement:
    errors: list[FieldError] = []
    if wrong := names.qualified_name(key):
        errors.append(invalid(path + "key", key, "; ".join(wrong)))
    at = path + "values"
    if operator in (_IN, _NOT_IN):
        if not values:
            text = "for 'in', 'notin' operators, values set can't be empty"
            errors.append(invalid(at, [], text))
    elif operator in _EXACT:
        if len(values) != 1:
            errors.append(invalid(at, list(values), "exact-match compatibility requires one single value"))
    elif operator in (_EXISTS, _MISSING):
        if values:
            errors.append(invalid(at, list(values), "values set must be empty for exists and does not exist"))
    elif operator in _ORDER:
        if len(values) != 1:
            text = "for 'Gt', 'Lt' operators, exactly one value is required"
            errors.append(invalid(at, list(values), text))
        text = "for 'Gt', 'Lt' operators, the value must be an integer"
        errors += [invalid(f"{at}[{i}]", v, text) for i, v in enumerate(values) if _integer(v) is None]
    else:
        errors.append(not_supported(path + "operator", operator, (*_BINARY, _EXISTS, _MISSING)))
    for index, value in enumerate(values):
        if wrong := names.label_value(value):
            errors.append(invalid(f"{at}[{index}][{key}]", value, "; ".join(wrong)))
    if errors:
        texts = list(dict.fromkeys(error.message() for error in errors))
        raise ValueError(texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]")
    return Requirement(key, operator, values)


_SYMBOLS: Final = {")", ",", "!", "==", "=", ">", "<", "!=", "("}
_END: Final = ""


class _Token(NamedTuple):
    kind: str  # a symbol, "in", "notin", "identifier", "error", or _END
    text: str


class _Parser:
    """The grammar of labels.Parse, token by token, so that its complaints are the same."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0

    def look(self, *, keywords: bool = False) -> _Token:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return token if keywords or token.kind not in (_IN, _NOT_IN) else _Token("identifier", token.text)

    def take(self, *, keywords: bool = False) -> _Token:
        token = self.look(keywords=keywords)
        self.at += 1
        return token

    def parse(self) -> Iterator[Requirement]:
        while True:
            token = self.look()
            if token.kind == _END:
                return
            if token.kind not in ("identifier", "!"):
                raise ValueError(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                requirement = self.requirement()
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            yield requirement
            token = self.take()
            if token.kind == _END:
                return
            if token.kind != ",":
                raise ValueError(f"found '{token.text}', expected: ',' or 'end of string'")
            if (after := self.look()).kind not in ("identifier", "!"):
                raise ValueError(f"found '{after.text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        operator = ""
        token = self.take()
        if token.kind == "!":
            operator, token = _MISSING, self.take()
        if token.kind != "identifier":
            raise ValueError(f"found '{token.text}', expected: identifier")
        key = token.text
        if wrong := names.qualified_name(key):
            raise ValueError(invalid("<nil>", key, "; ".join(wrong)).message())
        if self.look().kind in (_END, ","):
            operator = operator or _EXISTS
        if operator:
            return _requirement(key, operator, ())
        token = self.take(keywords=True)
        operator = {">": "gt", "<": "lt"}.get(token.kind, token.kind)
        if operator not in _BINARY:
            raise ValueError(f"found '{token.text}', expected: {', '.join(_BINARY)}")
        values = self.values() if operator in (_IN, _NOT_IN) else {self.exact()}
        return _requirement(key, operator, tuple(sorted(values)))

    def exact(self) -> str:
        if self.look().kind in (_END, ","):
            return ""
        token = self.take()
        if token.kind != "identifier":
            raise ValueError(f"found '{token.text}', expected: identifier")
        return token.text

    def values(self) -> set[str]:
        token = self.take()
        if token.kind != "(":
            raise ValueError(f"found '{token.text}' expected: '('")
        token = self.look()
        if token.kind == ")":
            self.take()
            return {""}
        if token.kind not in ("identifier", ","):
            raise ValueError(f"found '{token.text}', expected: ',', ')' or identifier")
        found: set[str] = set()
        while True:
            token = self.take()
            after = self.look()
            if token.kind == "identifier":
                found.add(token.text)
                if after.kind not in (",", ")"):
                    raise ValueError(f"found '{after.text}', expected: ',' or ')'")
            elif token.kind == ",":
                if not found or after.kind in (",", ")"):
                    found.add("")
            else:
                raise ValueError(f"found '{token.text}', expected: ',', or identifier")
            if after.kind == ")":
                self.take()
                return found


_TOKEN: Final = re.compile(r"==|!=|[=!(),<>]|[^=!(),<> \t\r\n\0]+")


def _tokens(text: str) -> Iterator[_Token]:
    for part in _TOKEN.findall(text.partition("\0")[0]):
        known = part in _SYMBOLS or part in (_IN, _NOT_IN)
        yield _Token(part if known else "identifier", part)
    yield _Token(_END, "")


class FieldRequirement(NamedTuple):
    """One condition on one field; operator is "=" or "!="."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Conditions on fields that must all hold."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, get: Callable[[str], str]) -> bool:
        """Whether every condition holds; `get` gives a field's value, "" if it has none."""
        return all((get(field) == value) == (op == "=") for field, op, value in self.requirements)

    def exact(self, field: str) -> str | None:
        """The one value that a field must have, or None if it may have several."""
        return next((v for f, op, v in self.requirements if f == field and op == "="), None)

    def __str__(self) -> str:
        escaped = ((f, op, re.sub(r"([\\,=])", r"\\\1", v)) for f, op, v in self.requirements)
        return ",".join(map("".join, escaped))


def parse_fields(text: str) -> FieldSelector:
    """Read "status.phase=Running,metadata.name!=x"; ValueError with Kubernetes' text if it cannot be read."""
    found = []
    for term in sorted(re.findall(r"(?:\\.|[^\\,])+\\?|\\", text, re.DOTALL)):
        match = re.match(r"(.*?)(!=|==|=)(.*)", term, re.DOTALL)
        if not match:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = match.groups()
        found.append(FieldRequirement(field, "!=" if operator == "!=" else "=", _unescape(value)))
    return FieldSelector(tuple(found))


def _unescape(value: str) -> str:
    def plain(match: re.Match[str]) -> str:
        piece = match.group()
        if piece in ("\\\\", "\\,", "\\="):
            return piece[1]
        if piece[0] == "\\":
            raise ValueError(f"invalid field selector: invalid escape sequence: {piece}")
        raise ValueError(f"invalid field selector: unescaped character in value: {ord(piece)}")

    return re.sub(r"\\.?|[,=]", plain, value, flags=re.DOTALL)
