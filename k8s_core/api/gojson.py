"""Reading JSON as kube-apiserver does (sigs.k8s.io/json): what is refused, and with which words.

A good document takes one pass of orjson and a count of its keys. Only when something is odd (a syntax error, a
duplicate key, invalid UTF-8, a number out of range) the slow way is gone, which knows Go's words for it.

One limit is tighter than Go's: documents nest 200 levels deep, not 10,000. No object needs more, and all that works
on objects afterwards may recurse.
"""

import json
import re
from typing import Any, Final

import orjson

from k8s_core.api.field import quote

MAX_DEPTH: Final = 200
"""How deep objects and lists may nest."""

_SPACE: Final = b" \t\r\n"
_STRING: Final = re.compile(rb'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_SURROGATE: Final = re.compile(
    r"\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)
_LONE: Final = 5
_INT64_DIGITS: Final = 18


class Members(dict[str, Any]):
    """A JSON object whose members are kept in the order of the text, duplicates included."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


class Number(float):
    """A number that is no 64-bit integer, with its literal."""

    text: str

    def __new__(cls, text: str) -> "Number":
        self = super().__new__(cls, text)
        self.text = text
        return self


def load(data: bytes) -> Any:
    """Parse a document; ValueError with Go's text. Objects are `Members` if duplicate keys are possible."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return load_exactly(data)
    # Every key ends in `":`; in a string that would be `\":`. If the numbers agree no key was swallowed.
    if _count(value, 0) == data.count(b'":') - data.count(b'\\":'):
        return value
    return load_exactly(data)


def load_exactly(data: bytes) -> Any:
    """Parse a document slowly, keeping duplicates as `Members` and odd literals as `Number`."""
    if wrong := complaint(data):
        raise ValueError(wrong)
    text = _SURROGATE.sub(_whole, data.decode(errors="replace"))
    return json.loads(text, object_pairs_hook=Members, parse_float=Number, parse_int=_integer)


def plain(value: Any) -> Any:
    """The same value made of nothing but JSON's own types; the last of duplicate members wins."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Number) else value


def name_of(value: Any) -> str:
    """What Go calls a value of the wrong type: "string", "number", "bool", "array", "object"."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= _INT64_DIGITS or -(2**63) <= int(text[:25]) < 2**63 else Number(text)


def _whole(match: re.Match[str]) -> str:
    return "\\ufffd" if len(match.group(1)) == _LONE else match.group()


def _count(value: Any, depth: int) -> int:
    """How many members all objects have together."""
    if depth > MAX_DEPTH:
        raise ValueError("exceeded max depth")
    if type(value) is dict:
        total = len(value)
        for item in value.values():
            if type(item) in (dict, list):
                total += _count(item, depth + 1)
        return total
    if type(value) is list:
        return sum(_count(item, depth + 1) for item in value if type(item) in (dict, list))
    return 0


def complaint(data: bytes) -> str:
    """What Go's scanner says about a malformed document; "" if it is well-formed."""
    at, size = 0, len(data)
    stack: list[int] = []
    expect = "value"  # value, element (or "]"), key, member (or "}"), colon, end
    while True:
        while at < size and data[at] in _SPACE:
            at += 1
        if at == size:
            return "" if expect == "end" and not stack else "unexpected end of JSON input"
        c = data[at : at + 1]
        if expect == "end":
            if not stack:
                return _wrong(data, at, "after top-level value")
            in_object = stack[-1] == ord("{")
            if c == (b"}" if in_object else b"]"):
                stack.pop()
            elif c == b",":
                expect = "key" if in_object else "value"
            else:
                what = "object key:value pair" if in_object else "array element"
                return _wrong(data, at, f"after {what}")
            at += 1
        elif expect == "colon":
            if c != b":":
                return _wrong(data, at, "after object key")
            at, expect = at + 1, "value"
        elif (expect == "member" and c == b"}") or (expect == "element" and c == b"]"):
            stack.pop()
            at, expect = at + 1, "end"
        elif c == b'"':
            at, wrong = _string(data, at + 1)
            if wrong:
                return wrong
            expect = "colon" if expect in ("key", "member") else "end"
        elif expect in ("key", "member"):
            return _wrong(data, at, "looking for beginning of object key string")
        elif c in (b"{", b"["):
            stack.append(c[0])
            if len(stack) > MAX_DEPTH:
                return "exceeded max depth"
            at, expect = at + 1, "member" if c == b"{" else "element"
        else:
            at, wrong = _literal(data, at)
            if wrong:
                return wrong
            expect = "end"


def _wrong(data: bytes, at: int, context: str) -> str:
    if at >= len(data):
        return "unexpected end of JSON input"
    character = chr(data[at])
    shown = {"'": "\\'", '"': '"'}.get(character) or quote(character)[1:-1]
    return f"invalid character '{shown}' {context}"


def _string(data: bytes, at: int) -> tuple[int, str]:
    match = _STRING.match(data, at)
    assert match
    at = match.end()
    if data[at : at + 1] == b'"':
        return at + 1, ""
    if data[at : at + 1] != b"\\":
        return at, _wrong(data, at, "in string literal")
    if data[at + 1 : at + 2] != b"u":
        return at, _wrong(data, at + 1, "in string escape code")
    at += 2
    while data[at : at + 1] in b"0123456789abcdefABCDEF" and at < len(data):
        at += 1
    return at, _wrong(data, at, "in \\u hexadecimal character escape")


def _literal(data: bytes, at: int) -> tuple[int, str]:
    for word in (b"true", b"false", b"null"):
        if data[at] == word[0]:
            for offset in range(1, len(word)):
                if data[at + offset : at + offset + 1] != word[offset : offset + 1]:
                    expecting = f"in literal {word.decode()} (expecting '{chr(word[offset])}')"
                    return at, _wrong(data, at + offset, expecting)
            return at + len(word), ""
    start = at
    if data[at : at + 1] == b"-":
        at += 1
    digits = re.compile(rb"0|[1-9][0-9]*").match(data, at)
    if not digits:
        return at, _wrong(data, at, "in numeric literal" if at > start else "looking for beginning of value")
    at = digits.end()
    if data[at : at + 1] == b".":
        digits = re.compile(rb"[0-9]+").match(data, at + 1)
        if not digits:
            return at, _wrong(data, at + 1, "after decimal point in numeric literal")
        at = digits.end()
    if data[at : at + 1] in (b"e", b"E"):
        at += 1 + (data[at + 1 : at + 2] in (b"+", b"-"))
        digits = re.compile(rb"[0-9]+").match(data, at)
        if not digits:
            return at, _wrong(data, at, "in exponent of numeric literal")
        at = digits.end()
    return at, ""
