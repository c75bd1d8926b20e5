"""A custom kind: all that a CustomResourceDefinition says about one version of its objects.

It hangs at `Resource.custom` and does for custom objects what the built-in schema, the defaults, validation and
printer tables do for built-in ones. Stands for apiextensions-apiserver's registry/customresource and the parts of
apiserver/schema that it calls. Made anew whenever the definition changes, and then never changed.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from k8s_core.api import Object, errors, goyaml, jsonpath, rules, structural
from k8s_core.api.coerce import convert
from k8s_core.api.field import FieldError, invalid
from k8s_core.api.gojson import load, plain
from k8s_core.api.schema import Type

JSON, YAML = "application/json", "application/yaml"


@dataclass(eq=False)
class Custom:
    """One version of a custom kind; `version` is its entry in spec.versions."""

    api_version: str
    kind: str
    list_kind: str
    version: Object
    meta: Type
    """The type of metadata."""
    schema: Object = field(init=False)
    type: Type = field(init=False)

    def __post_init__(self) -> None:
        self.schema = (self.version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
        made = structural.type_of(self.schema)
        described = dict(made.fields) if made else {}
        named = {"apiVersion": Type("string"), "kind": Type("string"), "metadata": self.meta}
        unknown = made is None or made.open
        self.type = Type("object", map_type="granular", open=unknown, _fields={**described, **named})

    @property
    def has_status(self) -> bool:
        return (self.version.get("subresources") or {}).get("status") is not None

    @property
    def scale(self) -> Object | None:
        """The paths of the scale subresource."""
        found: Object | None = (self.version.get("subresources") or {}).get("scale")
        return found

    @property
    def columns(self) -> list[Object]:
        default = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
        return self.version.get("additionalPrinterColumns") or default

    @property
    def selectable(self) -> list[str]:
        """Fields that a field selector may name."""
        return [each["jsonPath"].removeprefix(".") for each in self.version.get("selectableFields") or ()]

    # --- on the way in --------------------------------------------------------------------------------------
    def decode(self, body: bytes, media: str, level: str) -> tuple[Object, list[str]]:
        """The object in a body, pruned, and the warnings about it; StatusError 400 or 415."""
        media = media.partition(";")[0].strip().lower()
        said: list[str] = []
        try:
            if media == YAML:
                body, said = goyaml.to_json(body)
            elif media != JSON:
                raise errors.unsupported_media_type((JSON, YAML))
            value = plain(load(body))
        except ValueError as error:
            raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
        if not isinstance(value, dict):
            raise errors.bad_request("couldn't get version/kind; json parse error: not an object")
        value.setdefault("apiVersion", self.api_version)
        value.setdefault("kind", self.kind)
        if value["apiVersion"] != self.api_version:
            raise errors.bad_request(
                f"the API version in the data ({value['apiVersion']}) does not match"
                f" the expected API version ({self.api_version})"
            )
        if value["kind"] != self.kind:
            raise errors.invalid(self.group_kind, "", [invalid("kind", value["kind"], f"must be {self.kind}")])
        wrong, found = self.fit(value)
        strict = [] if level == "Ignore" else said + found
        if not wrong and strict and level == "Strict":
            wrong = "strict decoding error: " + ", ".join(strict)
        if wrong:
            number = self.api_version.rpartition("/")[2]
            raise errors.bad_request(f'{self.kind} in version "{number}" cannot be handled as a {self.kind}: {wrong}')
        return value, strict

    def normalise(self, obj: Object, level: str) -> tuple[Object, list[str]]:
        """What a patch made of an object, pruned; StatusError 422 if that is none."""
        obj.setdefault("apiVersion", self.api_version)
        obj.setdefault("kind", self.kind)
        wrong, strict = self.fit(obj)
        strict = [] if level == "Ignore" else strict
        if not wrong and strict and level == "Strict":
            wrong = "strict decoding error: " + ", ".join(strict)
        if wrong:
            text = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS).decode()
            raise errors.invalid("", "", [invalid("patch", text, wrong)])
        return obj, strict

    def fit(self, obj: Object) -> tuple[str, list[str]]:
        """Make metadata what metadata must be and prune the rest, in place: what is wrong, and what is gone."""
        meta, wrong, strict = convert(obj.get("metadata"), self.meta)
        obj["metadata"] = meta
        strict = [text.replace(' "', ' "metadata.', 1) for text in strict]
        if wrong:
            wrong = wrong.replace("ObjectMeta.", "ObjectMeta.metadata.")
        gone = structural.prune(obj, self.schema)
        return wrong, strict + [f'unknown field "{path}"' for path in gone]

    @property
    def group_kind(self) -> str:
        return f"{self.kind}.{self.api_version.rpartition('/')[0]}"

    def default(self, obj: Object) -> None:
        """Fill in the defaults, in place."""
        structural.default(obj, self.schema)

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
        """What is wrong with an object beyond its metadata."""
        part, before = obj, old
        schema, path = self.schema, ""
        if subresource == "status":
            schema, path = (schema.get("properties") or {}).get("status") or {}, "status"
            part, before = obj.get("status"), (old or {}).get("status")  # type: ignore[assignment]
            if part is None:
                return []
        found = list(structural.validate(_body(part, path), schema, path))
        return found or list(rules.validate(part, before, schema, path))

    # --- on the way out -------------------------------------------------------------------------------------
    def at(self, obj: Object, path: str) -> Any:
        """The value at one of the definition's paths, or None."""
        found = jsonpath.find(obj, path) if path else []
        return found[0] if found else None


def _body(part: Any, path: str) -> Any:
    """Metadata is checked elsewhere."""
    return part if path or not isinstance(part, dict) else {k: v for k, v in part.items() if k != "metadata"}


def with_value(obj: Object, path: str, value: Any) -> Object:
    """A copy of the object with the value put at a path of plain names (".spec.replicas")."""
    first, _, rest = path.strip(".").partition(".")
    return {**obj, first: with_value(obj.get(first) or {}, rest, value) if rest else value}
