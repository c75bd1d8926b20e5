"""The schemas in OpenAPI documents: the shipped definitions, with enums and defaults as kube-openapi publishes them.

The definitions of kubernetes-validate come from the OpenAPI v2 document, made nullable for validating files, and v2
has no enums. data/enums.json holds those: types -> values with their meaning, fields -> type. Defaults follow from
what Go always writes, which data/shape.json says.
"""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from k8s_core.api.schema import Schema

V2: Final = "#/definitions/"
V3: Final = "#/components/schemas/"
"""Where a document of each version keeps its schemas."""

_DATA: Final = Path(__file__).parent.parent / "api" / "data"
_REF: Final = len("#/$defs/")
_ZERO: Final[dict[str, Any]] = {"string": "", "integer": 0, "number": 0, "boolean": False}
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"

Document = dict[str, Any]


class Definitions:
    """Turns definitions of one Kubernetes version into schemas of an OpenAPI document."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def raw(self, name: str) -> Document:
        """A definition as it was shipped."""
        return dict(self.schema.definitions[name])

    def closure(self, roots: Iterable[str], where: str) -> dict[str, Document]:
        """The schemas of definitions and of all that they refer to, sorted by name; `where` is V2 or V3."""
        todo, found = list(roots), dict[str, Document]()
        while todo:
            name = todo.pop()
            if name in found or name not in self.schema.definitions:
                continue
            found[name] = self._definition(name, where)
            todo += _references(self.schema.definitions[name])
        return dict(sorted(found.items()))

    def _definition(self, name: str, where: str) -> Document:
        spec = self.schema.definitions[name]
        found = {key: value for key, value in spec.items() if key not in ("properties", "type", "oneOf")}
        if "oneOf" in spec:
            if where == V2:
                found["type"] = "string"
            else:
                kinds = ("integer", "string") if name == _INT_OR_STRING else ("string", "number")
                found["oneOf"] = [{"type": kind} for kind in kinds]
            if name == _INT_OR_STRING:
                found["format"] = "int-or-string"
        elif "type" in spec:
            found["type"] = _type(spec)
        if "properties" in spec:
            always, enums = _always().get(_short(name), {}), _enums()["fields"].get(name[_PREFIX:], {})
            found["properties"] = {
                field: _property(field, value, where, always, enums.get(field, ""))
                for field, value in sorted(spec["properties"].items())
            }
        return found


_PREFIX: Final = len("io.k8s.")
_HAS_ZERO: Final = 3


def _property(field: str, spec: Document, where: str, always: Document, enum: str) -> Document:
    found = _convert(spec, where)
    if field in ("apiVersion", "kind"):
        found.pop("enum", None)  # added by kubernetes-validate
    if where == V2:
        return found
    if "allOf" in found and (field in always or found["allOf"][0]["$ref"].endswith("ListMeta")):
        found["default"] = {}  # a Go struct that is no pointer is always there
    elif always.get(field) is not None:
        found["default"] = always[field]
    if enum:
        values = _enums()["types"][enum]
        target = found.get("items") or found.get("additionalProperties") or found
        target["enum"] = sorted(value for value, _ in values)
        if target is found:
            lines = sorted(f' - `"{value}"` {meaning}' for value, meaning in values)
            found["description"] = "\n".join([spec.get("description", ""), "", "Possible enum values:", *lines])
    return dict(sorted(found.items()))


def _convert(spec: Document, where: str) -> Document:
    """One property, item or map value, without what kubernetes-validate made of it."""
    if "$ref" in spec:
        rest = {key: value for key, value in spec.items() if key != "$ref"}
        reference = {"$ref": where + spec["$ref"][_REF:]}
        return {**reference, **rest} if where == V2 else {"allOf": [reference], **rest}
    found = dict(spec)
    if "type" in spec:
        found["type"] = _type(spec)
    for inner in ("items", "additionalProperties"):
        if isinstance(spec.get(inner), dict):
            found[inner] = item = _convert(spec[inner], where)
            if where == V3 and (zero := {} if "allOf" in item else _ZERO.get(item.get("type", ""))) is not None:
                item["default"] = zero
    return found


def _type(spec: Mapping[str, Any]) -> Any:
    kind = spec["type"]
    return kind[0] if isinstance(kind, list) else kind


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            return [reference[_REF:]]
        return [name for item in value.values() if isinstance(item, dict | list) for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []


def _short(name: str) -> str:
    """The name that data/shape.json has for a definition: core/v1.PodSpec."""
    *_, group, version, kind = name.split(".")
    return f"{group}/{version}.{kind}"


@functools.cache
def _enums() -> Document:
    enums: Document = orjson.loads((_DATA / "enums.json").read_bytes())
    return enums


@functools.cache
def _always() -> dict[str, Document]:
    """type -> field -> the value that Go writes when there is none."""
    shape = orjson.loads((_DATA / "shape.json").read_bytes())["types"]
    return {
        name: {field: entry[3] for field, entry in fields.items() if entry != 0 and len(entry) > _HAS_ZERO}
        for name, fields in shape.items()
    }
