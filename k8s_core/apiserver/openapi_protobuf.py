"""The OpenAPI v2 document in the protobuf form of gnostic (openapiv2/OpenAPIv2.proto).

kubectl asks for nothing else when it validates a `kind: List` or a kind that the server does not know, so without it
a wrong apiVersion would end in an odd error instead of "no matches for kind". Field numbers are gnostic's. Anything
of no fixed type (extensions, defaults, enums) travels as YAML text, for which JSON will do.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

Document = dict[str, Any]

_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_OPERATION: Final = {"tags": 1, "description": 3, "operationId": 5, "produces": 6, "consumes": 7, "schemes": 10}


def encode(document: Document) -> bytes:
    """The bytes of a gnostic Document."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(_named(2, path, _path_item(item)) for path, item in document["paths"].items())
    definitions = b"".join(_named(1, name, _schema(spec)) for name, spec in document["definitions"].items())
    return b"".join([_text(1, document["swagger"]), _bytes(2, info), _bytes(8, paths), _bytes(9, definitions)])


@functools.lru_cache(maxsize=8192)
def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _texts(field: int, texts: str | Iterable[str]) -> bytes:
    return b"".join(_text(field, text) for text in ([texts] if isinstance(texts, str) else texts))


def _flag(field: int, value: bool) -> bytes:
    return _varint(field << 3) + b"\1" if value else b""


def _named(field: int, name: str, data: bytes) -> bytes:
    return _bytes(field, _text(1, name) + _bytes(2, data))


def _any(value: Any) -> bytes:
    return _bytes(2, orjson.dumps(value))


def _extensions(field: int, spec: Document) -> bytes:
    return b"".join(_named(field, name, _any(value)) for name, value in spec.items() if name.startswith("x-"))


_SCHEMA: Final[dict[str, Callable[[Any], bytes]]] = {
    "$ref": lambda value: _text(1, value),
    "format": lambda value: _text(2, value),
    "description": lambda value: _text(4, value),
    "default": lambda value: _bytes(5, _any(value)),
    "required": lambda value: _texts(19, value),
    "enum": lambda value: b"".join(_bytes(20, _any(item)) for item in value),
    "additionalProperties": lambda value: _bytes(21, _bytes(1, _schema(value))),
    "type": lambda value: _bytes(22, _texts(1, value)),
    "items": lambda value: _bytes(23, _bytes(1, _schema(value))),
    "properties": lambda value: _bytes(25, b"".join(_named(1, name, _schema(spec)) for name, spec in value.items())),
}


def _schema(spec: Document) -> bytes:
    parts = [write(spec[key]) for key, write in _SCHEMA.items() if key in spec]
    return b"".join(parts) + _extensions(31, spec)


def _path_item(item: Document) -> bytes:
    operations = b"".join(_bytes(_METHODS[m], _operation(found)) for m, found in item.items() if m in _METHODS)
    return operations + b"".join(_bytes(9, _parameter(found)) for found in item.get("parameters", ()))


def _operation(found: Document) -> bytes:
    parts = [_texts(field, found[key]) for key, field in _OPERATION.items() if key in found]
    parts += [_bytes(8, _parameter(parameter)) for parameter in found.get("parameters", ())]
    answers = b"".join(_named(1, code, _bytes(1, _response(answer))) for code, answer in found["responses"].items())
    return b"".join([*parts, _bytes(9, answers), _extensions(13, found)])


def _response(answer: Document) -> bytes:
    schema = _bytes(2, _bytes(1, _schema(answer["schema"]))) if "schema" in answer else b""
    return _text(1, answer["description"]) + schema


def _parameter(found: Document) -> bytes:
    required = found.get("required", False)
    if found["in"] == "body":
        body = _text(2, found["name"]) + _text(3, "body") + _flag(4, required) + _bytes(5, _schema(found["schema"]))
        return _bytes(1, _bytes(1, body))
    return _plain_parameter(found["in"], found["name"], found["type"], required)


@functools.lru_cache(maxsize=256)  # the same few stand at every path
def _plain_parameter(where: str, name: str, type: str, required: bool) -> bytes:
    number, kind, unique = (3, 6, 20) if where == "query" else (4, 5, 19)
    inner = _flag(1, required) + _text(2, where) + _text(4, name) + _text(kind, type) + _flag(unique, True)
    return _bytes(1, _bytes(2, _bytes(number, inner)))
