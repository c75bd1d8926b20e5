"""Kubernetes' protobuf bodies: the four bytes "k8s\\0", a runtime.Unknown, and in it the object.

kubectl sends these for `create configmap`, `create deployment`, `create token` and others. The wire format needs no
library: a message is a row of (field number, wire type, value). data/protobuf.json says which JSON field a number
is: message -> number -> name; "=message" is a Go struct embedded in the other; a name with a star is a pointer, so
that its zero is a value. What the value means follows from the schema, as everywhere.

`encode` writes what a real apiserver keeps in etcd. The API server answers JSON, which every client accepts.
"""

import base64
import functools
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from k8s_core.api import times
from k8s_core.api.gojson import load, plain
from k8s_core.api.schema import Schema, Type

MAGIC: Final = b"k8s\0"
MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PREFIX: Final = "io.k8s."
_MAX_DEPTH: Final = 200

Field = tuple[int, int, Any]


def decode(body: bytes, schema: Schema, fallback: Type) -> dict[str, Any]:
    """The object in a body, as JSON values; ValueError if it cannot be read. `fallback`: if it names no kind."""
    if not body.startswith(MAGIC):
        raise ValueError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
            if body
            else "empty data"
        )
    envelope = {number: value for number, _, value in _fields(body[len(MAGIC) :])}
    meta = {number: _text(value) for number, _, value in _fields(_raw(envelope.get(1, b"")))}
    api_version, kind = meta.get(1, ""), meta.get(2, "")
    group, _, version = api_version.rpartition("/")
    try:
        type = schema.kind(group, version, kind)
    except KeyError:
        type = fallback
    found = _message(_raw(envelope.get(2, b"")), type, _numbers(type.name), 0)
    return {**({"apiVersion": api_version} if api_version else {}), **({"kind": kind} if kind else {}), **found}


def encode(obj: dict[str, Any], schema: Schema) -> bytes:
    """An object as a real apiserver stores it; KeyError for a kind that has no protobuf, as custom resources."""
    group, _, version = obj["apiVersion"].rpartition("/")
    type = schema.kind(group, version, obj["kind"])
    if not _numbers(type.name):
        raise KeyError(type.name)
    meta = _field(1, obj["apiVersion"].encode()) + _field(2, obj["kind"].encode())
    body = _encoded(obj, type, _numbers(type.name))
    return MAGIC + _field(1, meta) + _field(2, body) + _field(3, b"") + _field(4, b"")


@functools.cache
def _data() -> dict[str, dict[str, str]]:
    data: dict[str, dict[str, str]] = orjson.loads((Path(__file__).parent / "data/protobuf.json").read_bytes())
    return data


@functools.cache
def _numbers(message: str) -> dict[int, str]:
    return {int(number): name for number, name in _data().get(message.removeprefix(_PREFIX), {}).items()}


def _fields(data: bytes) -> Iterator[Field]:
    """The fields of a message: number, wire type, value (an int, or bytes)."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number <= 0:
            raise ValueError(f"proto: illegal tag {number} (wire type {wire})")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"proto: illegal wireType {wire}")
        if at + length > size:
            raise ValueError("unexpected EOF")
        yield number, wire, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift >= 70:
            raise ValueError("proto: integer overflow")


def _raw(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("proto: wrong wireType = 0")
    return value


def _text(value: Any) -> str:
    return _raw(value).decode(errors="replace")


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("proto: wrong wireType = 2")
    return value - 2**64 if value >= 2**63 else value


def _message(data: bytes, type: Type, numbers: dict[int, str], depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise ValueError("proto: message is nested too deeply")
    found: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        name = numbers.get(number)
        if name is None:
            continue
        if name[0] == "=":
            found.update(_message(_raw(value), type, _numbers(name[1:]), depth + 1))
            continue
        pointer, name = name.endswith("*"), name.rstrip("*")
        target = type.fields.get(name)
        if target is None:
            continue
        if target.kind == "list":
            assert target.items
            found.setdefault(name, []).extend(_items(wire, value, target.items, depth))
        elif target.kind == "map":
            assert target.items
            key, item = _entry(_raw(value), target.items, depth)
            found.setdefault(name, {})[key] = item
        else:
            result = _value(wire, value, target, depth)
            if pointer or name in type.required or result not in (None, "", 0, False):
                found[name] = result
    return found


def _items(wire: int, value: Any, type: Type, depth: int) -> list[Any]:
    if wire == _BYTES and type.kind in ("integer", "boolean"):  # packed
        numbers, at = [], 0
        while at < len(value):
            number, at = _varint(value, at)
            numbers.append(_signed(number) if type.kind == "integer" else bool(number))
        return numbers
    return [_value(wire, value, type, depth)]


def _entry(data: bytes, type: Type, depth: int) -> tuple[str, Any]:
    key, item = "", _value(_BYTES, b"", type, depth) if type.kind not in ("integer", "boolean") else 0
    for number, wire, value in _fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(wire, value, type, depth)
    return key, item


def _value(wire: int, value: Any, type: Type, depth: int) -> Any:
    kind = type.kind
    if kind == "string":
        return _text(value)
    if kind == "integer":
        return _signed(value)
    if kind == "boolean":
        return bool(_signed(value))
    if kind == "number":
        return struct.unpack("<d", value)[0] if wire == _FIXED64 else float(_signed(value))
    raw = _raw(value)
    if kind == "object":
        return _message(raw, type, _numbers(type.name), depth + 1)
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    parts = [(number, part) for number, _, part in _fields(raw)]
    inner = dict(parts)
    if kind == "quantity":
        return _text(inner.get(1, b"0")) or "0"
    if kind == "int-or-string":
        return _text(inner.get(3, b"")) if inner.get(1) else _signed(inner.get(2, 0))
    if kind in ("time", "micro-time"):
        return _time(_signed(inner.get(1, 0)), _signed(inner.get(2, 0)), kind)
    if kind == "list":  # a named list, such as an ExtraValue, is a message of its own
        assert type.items
        return [_value(_BYTES, part, type.items, depth) for _, part in parts]
    return plain(load(_raw(inner.get(1, b"")) or b"null"))


def _time(seconds: int, nanos: int, kind: str) -> str | None:
    if not seconds and not nanos:
        return None
    try:
        if kind == "time":
            return times.timestamp(seconds)
        return times.micro_timestamp(seconds + nanos / 10**9)
    except (ValueError, OverflowError, OSError):
        raise ValueError("proto: time out of range") from None


# --- writing ----------------------------------------------------------------------------------------------------
def _number(value: int) -> bytes:
    """A varint."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return _number(number << 3 | _BYTES) + _number(len(value)) + value
    if isinstance(value, float):
        return _number(number << 3 | _FIXED64) + struct.pack("<d", value)
    return _number(number << 3 | _VARINT) + _number(value)


def _encoded(obj: dict[str, Any], type: Type, numbers: dict[int, str]) -> bytes:
    """A message; its fields in the order of their numbers, those without a value left out."""
    out = b""
    for number, marked in sorted(numbers.items()):
        if marked[0] == "=":
            out += _field(number, _encoded(obj, type, _numbers(marked[1:])))
            continue
        name = marked.rstrip("*")
        target, value = type.fields.get(name), obj.get(name)
        if target is None or value is None:
            continue
        if target.kind == "list":
            assert target.items
            out += b"".join(_field(number, _written(item, target.items)) for item in value)
        elif target.kind == "map":
            assert target.items
            for key in sorted(value):
                out += _field(number, _field(1, key.encode()) + _field(2, _written(value[key], target.items)))
        else:
            out += _field(number, _written(value, target))
    return out


def _written(value: Any, type: Type) -> bytes | int | float:
    kind = type.kind
    if kind == "string":
        return str(value).encode()
    if kind in ("integer", "boolean"):
        return int(value)
    if kind == "number":
        return float(value)
    if kind == "object":
        return _encoded(value, type, _numbers(type.name))
    if kind == "bytes":
        return base64.b64decode(value)
    if kind == "quantity":
        return _field(1, str(value).encode())
    if kind == "int-or-string":
        if isinstance(value, int):
            return _field(1, 0) + _field(2, value) + _field(3, b"")
        return _field(1, 1) + _field(2, 0) + _field(3, value.encode())
    if kind in ("time", "micro-time"):
        moment = datetime.fromisoformat(value)
        return _field(1, int(moment.timestamp())) + _field(2, moment.microsecond * 1000)
    if kind == "list":
        assert type.items
        return b"".join(_field(1, _written(item, type.items)) for item in value)
    return _field(1, orjson.dumps(value))
