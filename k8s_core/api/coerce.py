"""Fitting JSON values into a type of the schema, with the complaints of Go's JSON decoder when they do not fit.

Two upstream decoders are heard here: sigs.k8s.io/json for bodies and most patches, and apimachinery's converter
from Go maps (`from_maps`) for strategic merge patches, which words the same mistakes differently.
"""

import base64
import binascii
import re
from typing import Any, Final

from k8s_core.api import quantity, times
from k8s_core.api.field import quote
from k8s_core.api.gojson import Members, Number, name_of, plain
from k8s_core.api.gotypes import field_type, go_type, item_type, kind_of
from k8s_core.api.schema import Type

_STRICT_LIMIT: Final = 100  # what Go's decoder collects at most
_PLAIN: Final = {"string": str, "integer": int, "boolean": bool}
_SMALL: Final = 2**31  # what fits every integer type
_RANGE: Final = {"int32": 2**31, "int64": 2**63}
_ZERO: Final[dict[str, Any]] = {
    "string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "bytes": "", "int-or-string": 0,
}  # fmt: skip
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/\r\n])*(?:=[\r\n]*){0,2}")


def convert(value: Any, type: Type, *, from_maps: bool = False) -> tuple[dict[str, Any], str, list[str]]:
    """The object in a value, what is wrong with it (or ""), and what strict decoding says against it."""
    reader = _Reader(from_maps)
    try:
        result = reader.read(value, type, "") if value is not None else {}
    except _Stop as stop:
        return {}, str(stop), []
    except RecursionError:
        return {}, "exceeded max depth", []
    return result, reader.wrong, list(reader.strict)


class _Stop(Exception):
    """An error of a type's own unmarshaller: it ends decoding at once, whatever was wrong before."""


class _Reader:
    def __init__(self, from_maps: bool) -> None:
        self.from_maps = from_maps
        self.wrong = ""
        self.strict: dict[str, None] = {}
        self.struct = ""
        self.fields: list[str] = []
        self.path: list[str] = []

    def read(self, value: Any, type: Type, go: str) -> Any:
        """The value as the type wants it; None if it is to be left out."""
        kind = type.kind
        if kind == "string":
            return value if isinstance(value, str) else self.misfit(value, type, go)
        if kind == "object":
            return self.object(value, type) if isinstance(value, dict) else self.misfit(value, type, go)
        if kind == "list":
            return self.list(value, type, go) if isinstance(value, list) else self.misfit(value, type, go)
        if kind == "map":
            return self.map(value, type, go) if isinstance(value, dict) else self.misfit(value, type, go)
        if kind == "integer":
            return self.integer(value, type, go)
        if kind == "boolean":
            return value if isinstance(value, bool) else self.misfit(value, type, go)
        if kind == "int-or-string":
            return value if isinstance(value, str) else self.integer(value, _INT32, "int32", stop=True)
        if kind == "quantity":
            return self.quantity(value)
        if kind in ("time", "micro-time"):
            return self.time(value, kind)
        if kind == "bytes":
            return self.bytes(value) if isinstance(value, str) else self.misfit(value, type, go)
        if kind == "number":
            return self.number(value, type, go)
        return plain(value)

    def object(self, value: dict[str, Any], type: Type) -> dict[str, Any]:
        found: dict[str, Any] = {}
        known, fields, path, outer = type.fields, self.fields, self.path, self.struct
        name = type.name[type.name.rfind(".") + 1 :]
        twice = isinstance(value, Members)
        seen: set[str] = set()
        for key, item in value.pairs if isinstance(value, Members) else value.items():
            target = known.get(key)
            if target is None:
                self.object_to("unknown field", key)
                continue
            if twice:
                if key in seen:
                    self.object_to("duplicate field", key)
                seen.add(key)
            if item is None:
                continue
            if _PLAIN.get(target.kind) is item.__class__ and (item.__class__ is not int or -_SMALL <= item < _SMALL):
                found[key] = item  # most fields are plain and right, and need no path for complaints
                continue
            self.struct = name
            fields.append(key)
            path.append("." + key)
            result = self.read(item, target, field_type(type, key))
            fields.pop()
            path.pop()
            if result is not None:
                found[key] = result
        self.struct = outer
        return found

    def list(self, value: list[Any], type: Type, go: str) -> list[Any]:
        items, found = type.items, []
        assert items
        inner = item_type(go)
        for index, item in enumerate(value):
            self.path.append(f"[{index}]")
            result = None if item is None else self.read(item, items, inner)
            self.path.pop()
            found.append(_zero(items) if result is None else result)
        return found

    def map(self, value: dict[str, Any], type: Type, go: str) -> dict[str, Any]:
        items, found = type.items, {}
        assert items
        inner = item_type(go)
        if isinstance(value, Members) and len(value) < len(value.pairs):
            seen: set[str] = set()
            for key, _ in value.pairs:
                if key in seen:
                    self.object_to("duplicate field", key)
                seen.add(key)
        if items.kind == "string" and all(item.__class__ is str for item in value.values()):
            return dict(value)
        for key, item in value.items():
            self.path.append("." + key)
            result = None if item is None else self.read(item, items, inner)
            self.path.pop()
            found[key] = _zero(items) if result is None else result
        return found

    def integer(self, value: Any, type: Type, go: str, *, stop: bool = False) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool):
            limit = _RANGE.get(type.format, 2**63)
            if -limit <= value < limit:
                return value
        elif self.from_maps and isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
            return int(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            literal = value.text if isinstance(value, Number) else str(value)
            return self.misfit(value, type, go, f"number {literal}", stop=stop)  # type: ignore[no-any-return]
        return self.misfit(value, type, go, stop=stop)  # type: ignore[no-any-return]

    def number(self, value: Any, type: Type, go: str) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.misfit(value, type, go)  # type: ignore[no-any-return]
        if value in (float("inf"), float("-inf")):
            literal = value.text if isinstance(value, Number) else str(value)
            return self.misfit(value, type, go, f"number {literal}")  # type: ignore[no-any-return]
        return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)

    def quantity(self, value: Any) -> str:
        literal = value.text if isinstance(value, Number) else value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            literal = "?"
        try:
            return quantity.canonical(literal)
        except ValueError as error:
            raise _Stop(str(error)) from None

    def time(self, value: Any, kind: str) -> str | None:
        if not isinstance(value, str):
            return self.misfit(value, _STRING, "string", stop=True)  # type: ignore[no-any-return]
        try:
            return times.canonical(value) if kind == "time" else times.canonical_micro(value)
        except ValueError as error:
            raise _Stop(str(error)) from None

    def bytes(self, value: str) -> str:
        match = _BASE64.match(value)
        good = match.end() if match else 0
        if good == len(value):
            try:
                text = value.replace("\r", "").replace("\n", "")
                return base64.b64encode(base64.b64decode(text, validate=True)).decode()
            except binascii.Error:
                good = len(value) // 4 * 4
        self.wrong = self.wrong or f"illegal base64 data at input byte {good}"
        return ""

    def object_to(self, what: str, key: str) -> None:
        """Note what strict decoding complains about."""
        if len(self.strict) < _STRICT_LIMIT:
            self.strict[f"{what} {quote(''.join([*self.path, '.' + key])[1:])}"] = None

    def misfit(self, value: Any, type: Type, go: str, what: str = "", *, stop: bool = False) -> Any:
        """Note a value of the wrong type: the first is what the user hears of."""
        text = self.converter_words(value, type, go or go_type(type)) if self.from_maps and not stop else ""
        if not text:
            where = f"struct field {self.struct}.{'.'.join(self.fields)}" if self.fields else "value"
            what = what or name_of(value)
            text = f"json: cannot unmarshal {what} into Go {where} of type {go or go_type(type)}"
        if stop or self.from_maps:
            raise _Stop(text)
        self.wrong = self.wrong or text

    def converter_words(self, value: Any, type: Type, go: str) -> str:
        have = kind_of(value)
        if type.kind == "object":
            return f"cannot restore struct from: {have}"
        if type.kind in ("list", "bytes"):
            return f"cannot restore slice from {have}"
        if type.kind == "map":
            return f"cannot restore map from {have}"
        want = {"boolean": "bool", "number": "float64"}.get(type.kind, type.format or type.kind)
        convertible = have in ("int64", "float64") and want in ("string", "int32", "int64", "float64")
        return f"cannot convert {have} to {go}" if convertible else f"unrecognized type: {want}"


_INT32: Final = Type("integer", format="int32")
_STRING: Final = Type("string")


def _zero(type: Type) -> Any:
    if type.kind in ("object", "map"):
        return {}
    return [] if type.kind == "list" else _ZERO.get(type.kind)
