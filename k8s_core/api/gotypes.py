"""What Go calls the type of a field, which its decoding errors tell the user: int32, v1.Protocol, []v1.Container.

Most names follow from the schema. data/go-types.json has the others: definition -> field -> type, where upstream
gave a string or a map a type of its own.
"""

import functools
from pathlib import Path
from typing import Any, Final

import orjson

from k8s_core.api.schema import Type

_BASIC: Final = {
    "string": "string", "boolean": "bool", "number": "float64", "bytes": "[]uint8", "time": "v1.Time",
    "micro-time": "v1.MicroTime", "quantity": "resource.Quantity", "int-or-string": "intstr.IntOrString",
    "any": "runtime.RawExtension",
}  # fmt: skip


@functools.cache
def _named() -> dict[str, dict[str, str]]:
    named: dict[str, dict[str, str]] = orjson.loads((Path(__file__).parent / "data/go-types.json").read_bytes())
    return named


def field_type(owner: Type, name: str) -> str:
    """The Go type of an object's field; "" if it follows from the field's own type."""
    return _named().get(owner.name, {}).get(name, "")


def go_type(type: Type) -> str:
    """The Go type that follows from a type."""
    if type.kind == "object":
        path = type.name.split(".")
        return ".".join(path[-2:])
    if type.kind == "integer":
        return type.format or "int64"
    if type.kind in ("list", "map"):
        assert type.items
        return ("[]" if type.kind == "list" else "map[string]") + go_type(type.items)
    return _BASIC[type.kind]


def item_type(go: str) -> str:
    """The Go type of the items of a list or map; "" if it does not show in the container's name."""
    return go[2:] if go.startswith("[]") else go.partition("]")[2] if go.startswith("map[") else ""


def kind_of(value: Any) -> str:
    """The reflect.Kind of a value in an unstructured object."""
    if isinstance(value, bool):
        return "bool"
    kinds = {int: "int64", str: "string", list: "slice", dict: "map"}
    return kinds.get(type(value), "float64")
