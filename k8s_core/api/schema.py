"""The one schema: field names, types, list and map semantics and patch keys of every API kind.

It is read from the OpenAPI definitions that the PyPI package `kubernetes-validate` ships, one file per
Kubernetes minor version, and turned into `Type` nodes only where somebody looks. Decoding, strategic merge,
server-side apply and OpenAPI all ask here; it stands for the Go types and their struct tags.

Promises: two questions about the same definition give the same `Type` object, and a `Type` is never changed.
Leaves out: enums, defaults and what is only said in a description.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson

Definition = Mapping[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_REF: Final = len("#/$defs/")
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_NONE: Final[frozenset[str]] = frozenset()

# Definitions whose JSON form is not what their definition says (Go types with a marshaller of their own).
_SPECIAL: Final = {
    _META + "Time": "time",
    _META + "MicroTime": "micro-time",
    _META + "FieldsV1": "any",
    _META + "Patch": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    _EXTENSIONS + "JSON": "any",
    _EXTENSIONS + "JSONSchemaPropsOrArray": "any",
    _EXTENSIONS + "JSONSchemaPropsOrBool": "any",
    _EXTENSIONS + "JSONSchemaPropsOrStringArray": "any",
}

# Kinds that every group's clients may send or receive, though only one definition describes them.
_META_KINDS: Final = {
    "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions", "Status", "WatchEvent",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Type:
    """What one place in an object may hold; `kind` says which of the other attributes mean something.

    kind is one of object, map, list, string, integer, number, boolean, int-or-string, quantity, time,
    micro-time, bytes (base64) and any (opaque JSON: RawExtension, FieldsV1, JSON).
    """

    kind: str
    name: str = ""
    doc: str = ""
    format: str = ""
    required: frozenset[str] = _NONE
    items: "Type | None" = None
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: frozenset[str] = _NONE
    merge_key: str = ""
    open: bool = False
    """Whether an object may have fields that nobody described (custom resources)."""
    _properties: dict[str, Definition] = field(default_factory=dict, repr=False)
    _schema: "Schema | None" = field(default=None, repr=False)
    _fields: "dict[str, Type] | None" = field(default=None, repr=False)

    @property
    def fields(self) -> "dict[str, Type]":
        """The fields of an object by JSON name, in the definition's order; empty for other kinds."""
        if self._fields is None:
            schema = self._schema
            self._fields = {} if schema is None else {
                name: schema.field(spec) for name, spec in self._properties.items()
            }  # fmt: skip
        return self._fields

    @property
    def schema(self) -> "Schema | None":
        """The schema that this type is from; None for a type made otherwise, such as a custom resource's."""
        return self._schema

    @property
    def gvk(self) -> tuple[str, str, str] | None:
        """Group, version and kind, if this is the type of a kind (the first, if it is one of many groups)."""
        return self._schema.gvk(self.name) if self._schema else None


class Schema:
    """All definitions of one Kubernetes minor version."""

    def __init__(self, version: str, definitions: Mapping[str, Definition]) -> None:
        self.version = version
        self.definitions = definitions
        self._types: dict[str, Type] = {}
        self._kinds: dict[tuple[str, str, str], str] = {}
        self._gvks: dict[str, tuple[str, str, str]] = {}
        for name, definition in definitions.items():
            for spec in definition.get("x-kubernetes-group-version-kind", ()):
                gvk = spec["group"], spec["version"], spec["kind"]
                self._kinds.setdefault(gvk, name)
                self._gvks.setdefault(name, gvk)

    def type(self, name: str) -> Type:
        """The type of an OpenAPI definition such as "io.k8s.api.core.v1.Pod"; KeyError if there is none."""
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = self._build(name, self.definitions[name])
        return found

    def kind(self, group: str, version: str, kind: str) -> Type:
        """The type of a kind; KeyError if this version of Kubernetes does not know it."""
        return self.type(self.definition(group, version, kind))

    def definition(self, group: str, version: str, kind: str) -> str:
        """The name of a kind's OpenAPI definition; KeyError if unknown."""
        name = self._kinds.get((group, version, kind))
        if name is None and kind in _META_KINDS:
            name = self._kinds.get(("", "v1", kind))
        if name is None:
            raise KeyError((group, version, kind))
        return name

    def gvk(self, name: str) -> tuple[str, str, str] | None:
        """Group, version and kind that a definition describes (the first of them), if any."""
        return self._gvks.get(name)

    def has_kind(self, group: str, version: str, kind: str) -> bool:
        """Whether this version of Kubernetes describes the kind."""
        return (group, version, kind) in self._kinds

    def field(self, spec: Definition) -> Type:
        """The type of one property; a reference with extensions of its own gets its own node."""
        if ref := spec.get("$ref"):
            target = self.type(ref[_REF:])
            if "x-kubernetes-patch-strategy" not in spec and "x-kubernetes-map-type" not in spec:
                return target
            return self._build(target.name, {**self.definitions[target.name], **spec})
        return self._build("", spec)

    def _build(self, name: str, spec: Definition) -> Type:
        types = spec.get("type")
        what = _SPECIAL.get(name) or (types[0] if isinstance(types, list) else types) or "any"
        items: Type | None = None
        properties: dict[str, Definition] = {}
        if what == "object":
            inner = spec.get("additionalProperties")
            if isinstance(inner, dict):
                what, items = "map", self.field(inner)
            elif "properties" in spec or name:
                properties = spec.get("properties") or {}
            else:
                what = "any"
        elif what == "array":
            what, items = "list", self.field(spec["items"])
        elif what == "string" and spec.get("format") == "byte":
            what = "bytes"
        strategy = frozenset((spec.get("x-kubernetes-patch-strategy") or "").split(",")) - {""}
        merge_key = spec.get("x-kubernetes-patch-merge-key", "")
        list_type, list_keys = spec.get("x-kubernetes-list-type"), spec.get("x-kubernetes-list-map-keys", ())
        if what == "list" and not list_type:  # lists older than list types: the patch keys say the same
            list_type = ("map" if merge_key else "set") if "merge" in strategy else "atomic"
            list_keys = (merge_key,) if merge_key else ()
        return Type(
            kind=what,
            name=name,
            doc=spec.get("description", ""),
            format=spec.get("format", ""),
            required=frozenset(spec.get("required", ())),
            items=items,
            list_type=list_type or "",
            list_keys=tuple(list_keys),
            map_type=spec.get("x-kubernetes-map-type") or ("granular" if what in ("object", "map") else ""),
            patch_strategy=strategy,
            merge_key=merge_key,
            _properties=properties,
            _schema=self,
        )


@functools.cache
def load(version: str = "1.36") -> Schema:
    """The schema of a Kubernetes minor version, 1.25 to 1.37; ValueError for another."""
    # Found, not imported: importing it would pull in a whole JSON Schema validator.
    package = find_spec("kubernetes_validate")
    assert package is not None and package.origin
    folder = Path(package.origin).parent / "kubernetes-json-schema" / f"v{version}.0-local"
    try:
        text = (folder / "_definitions.json").read_bytes()
    except OSError as error:
        raise ValueError(f"no API definitions for Kubernetes {version}: 1.25 to 1.37 are known") from error
    return Schema(version, orjson.loads(text)["$defs"])
