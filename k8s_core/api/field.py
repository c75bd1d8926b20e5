"""Field errors: what is wrong with which field of an object, in Kubernetes' words.

Stands for apimachinery's `pkg/util/validation/field`. A path is a plain string ("spec.containers[0].name",
"metadata.labels[app]"). Messages equal those of Go's `field.Error`; how several are put into one Status is
`errors.invalid`'s business.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

OMIT: Final = object()
"""A bad value that the message leaves out."""

_WORDS = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooShort": "Too short",
    "FieldValueTooMany": "Too many",
    "FieldValueTooFew": "Too few",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}
_VALUELESS = {
    "FieldValueRequired",
    "FieldValueForbidden",
    "FieldValueTooLong",
    "FieldValueTooShort",
    "InternalError",
}
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


class FieldError(NamedTuple):
    """One thing wrong with one field; `type` is the cause's reason ("FieldValueInvalid")."""

    type: str
    field: str
    detail: str = ""
    bad_value: Any = OMIT

    def body(self) -> str:
        """The message without the field's path, as Go's `ErrorBody`."""
        text = _WORDS[self.type]
        if self.type not in _VALUELESS and self.bad_value is not OMIT:
            text += ": " + _show(self.bad_value)
        return f"{text}: {self.detail}" if self.detail else text

    def message(self) -> str:
        """The message with the field's path, as Go's `Error`."""
        return f"{self.field}: {self.body()}"

    def cause(self) -> dict[str, str]:
        """The entry for a Status' `details.causes`."""
        return {"reason": self.type, "message": self.body(), "field": self.field}


def quote(text: str) -> str:
    """Go's `%q`: a double-quoted string with Go's escapes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_quote_character(c) for c in text) + '"'


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """A malformed value."""
    return FieldError("FieldValueInvalid", path, detail, value)


def required(path: str, detail: str = "") -> FieldError:
    """A value that is missing or empty."""
    return FieldError("FieldValueRequired", path, detail, "")


def not_supported(path: str, value: Any, allowed: Iterable[str]) -> FieldError:
    """A value outside an enumeration; `allowed` is shown in the given order (upstream sorts it, mostly)."""
    values = ", ".join(quote(v) for v in allowed)
    return FieldError("FieldValueNotSupported", path, f"supported values: {values}" if values else "", value)


def duplicate(path: str, value: Any) -> FieldError:
    """A value that must be unique and is not."""
    return FieldError("FieldValueDuplicate", path, "", value)


def forbidden(path: str, detail: str) -> FieldError:
    """A well-formed value that is not permitted here."""
    return FieldError("FieldValueForbidden", path, detail, "")


def too_long(path: str, limit: int, unit: str = "byte") -> FieldError:
    """A value longer than `limit` bytes (or "character"s)."""
    return FieldError("FieldValueTooLong", path, f"may not be more than {limit} {_plural(limit, unit)}", "")


def too_many(path: str, count: int, limit: int) -> FieldError:
    """A list of more than `limit` items."""
    return FieldError("FieldValueTooMany", path, f"must have at most {limit} {_plural(limit, 'item')}", count)


def not_found(path: str, value: Any) -> FieldError:
    """A value that refers to something that is not there."""
    return FieldError("FieldValueNotFound", path, "", value)


def type_invalid(path: str, value: Any, detail: str) -> FieldError:
    """A value that does not have the schema's type."""
    return FieldError("FieldValueTypeInvalid", path, detail, value)


def internal(path: str, detail: str) -> FieldError:
    """An error that is not the user's."""
    return FieldError("InternalError", path, detail)


def _plural(count: int, unit: str) -> str:
    return unit if count == 1 else unit + "s"


def _show(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    # Go's encoding/json escapes what HTML would misread.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _quote_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
