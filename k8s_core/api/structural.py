"""Structural schemas: what a CustomResourceDefinition says of its objects, put to work.

A schema is the plain dict of `openAPIV3Schema`. `type_of` makes the `Type` that server-side apply needs of it, `prune`
drops what it does not know, `default` fills in, `validate` says what is wrong in the words of kube-openapi's
validator. Stands for apiextensions-apiserver's pkg/apiserver/schema. CEL rules are in rules.py.

Leaves out: `definitions`, `dependencies`, `patternProperties` (a structural schema may not have them), most formats.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final
from uuid import UUID

import orjson

from k8s_core.api import Object, times
from k8s_core.api.field import FieldError, duplicate, invalid, not_supported, required, too_long, too_many, type_invalid
from k8s_core.api.schema import Type

Spec = dict[str, Any]
Errors = Iterator[FieldError]

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_KNOWN: Final = ("apiVersion", "kind", "metadata")  # of objects and embedded objects: never pruned
_SCALARS: Final = {"string", "integer", "number", "boolean"}


def type_of(spec: Spec) -> Type | None:
    """The schema as a Type; None where it is silent, which means: maps are granular, lists atomic."""
    kind = spec.get("type", "")
    if spec.get(INT_OR_STRING):
        return Type("int-or-string")
    if kind in _SCALARS:
        return Type(kind, format=spec.get("format", ""), doc=spec.get("description", ""))
    if kind == "array":
        items = type_of(spec.get("items") or {})
        keys = tuple(spec.get("x-kubernetes-list-map-keys") or ())
        how = spec.get("x-kubernetes-list-type", "atomic")
        return Type("list", items=items, list_type=how, list_keys=keys)
    map_type = spec.get("x-kubernetes-map-type", "granular")
    if isinstance(spec.get("additionalProperties"), dict):
        return Type("map", items=type_of(spec["additionalProperties"]), map_type=map_type)
    properties = spec.get("properties")
    if properties is None:
        return None if map_type == "granular" else Type("map", map_type=map_type)
    fields: dict[str, Any] = {name: type_of(inner) for name, inner in properties.items()}
    return Type(
        "object",
        map_type=map_type,
        open=bool(spec.get(PRESERVE)) or bool(spec.get("additionalProperties")),
        required=frozenset(spec.get("required") or ()),
        _fields=fields,
    )


def prune(value: Any, spec: Spec, path: str = "", *, root: bool = True) -> list[str]:
    """Drop, in place, what the schema does not specify; returns the paths of what is gone."""
    gone: list[str] = []
    if isinstance(value, list):
        inner = spec.get("items")
        if isinstance(inner, dict):
            for index, item in enumerate(value):
                gone += prune(item, inner, f"{path}[{index}]", root=False)
        return gone
    if not isinstance(value, dict):
        return gone
    properties, extra = spec.get("properties") or {}, spec.get("additionalProperties")
    known = _KNOWN if root or spec.get(EMBEDDED) else ()
    for name in list(value):
        where = f"{path}.{name}" if path else name
        if name in known:
            continue
        if name in properties:
            gone += prune(value[name], properties[name], where, root=False)
        elif isinstance(extra, dict):
            gone += prune(value[name], extra, where, root=False)
        elif not extra and not spec.get(PRESERVE):
            del value[name]
            gone.append(where)
    return gone


def default(value: Any, spec: Spec) -> None:
    """Fill in the defaults, in place; a null where none may be gives way to the default."""
    if isinstance(value, dict):
        properties, extra = spec.get("properties") or {}, spec.get("additionalProperties")
        for name, inner in properties.items():
            if "default" not in inner:
                continue
            if name not in value or (value[name] is None and not inner.get("nullable")):
                value[name] = orjson.loads(orjson.dumps(inner["default"]))
        for name, item in value.items():
            if name in properties:
                default(item, properties[name])
            elif isinstance(extra, dict):
                default(item, extra)
    elif isinstance(value, list) and isinstance(spec.get("items"), dict):
        for item in value:
            default(item, spec["items"])


# --- validation --------------------------------------------------------------------------------------------------


def validate(value: Any, spec: Spec, path: str = "") -> Errors:
    """What is wrong with a value, in upstream's order: its type, then what it is made of."""
    if value is None:
        if (spec.get("type") or spec.get(INT_OR_STRING)) and not spec.get("nullable"):
            yield _misfit(path, _wanted(spec), "null")
        return
    have, want = _kind(value), _wanted(spec)
    fits = not want or have in want.split(",") or (have == "integer" and want == "number")
    fits = fits or (have == "number" and "integer" in want and float(value).is_integer())
    if not fits:
        yield _misfit(path, want, have)
        return
    if isinstance(value, dict):
        yield from _object(value, spec, path)
    elif isinstance(value, list):
        yield from _list(value, spec, path)
    elif isinstance(value, str):
        yield from _string(value, spec, path)
    elif have in ("integer", "number"):
        yield from _number(value, spec, path)
    allowed = spec.get("enum")
    if allowed is not None and not any(value == each and _kind(value) == _kind(each) for each in allowed):
        shown = [each if isinstance(each, str) else orjson.dumps(each).decode() for each in allowed]
        yield not_supported(path, value, shown)
    yield from _combined(value, spec, path)


def _object(value: Object, spec: Spec, path: str) -> Errors:
    for limit, word in (("minProperties", "at least"), ("maxProperties", "at most")):
        bound = spec.get(limit)
        if bound is not None and (len(value) < bound if word == "at least" else len(value) > bound):
            if word == "at most":
                yield too_many(path, len(value), bound)
            else:
                yield invalid(path, len(value), f"{path} in body should have at least {bound} properties")
    properties, extra = spec.get("properties") or {}, spec.get("additionalProperties")
    for name in sorted(value):
        where = f"{path}.{name}" if path else name
        if name in properties:
            yield from validate(value[name], properties[name], where)
        elif isinstance(extra, dict):
            yield from validate(value[name], extra, where)
    for name in spec.get("required") or ():
        if name not in value:
            yield required(f"{path}.{name}" if path else name)


def _list(value: list[Any], spec: Spec, path: str) -> Errors:
    if (limit := spec.get("maxItems")) is not None and len(value) > limit:
        yield too_many(path, len(value), limit)
    if (limit := spec.get("minItems")) is not None and len(value) < limit:
        yield invalid(path, len(value), f"{path} in body should have at least {limit} items")
    if spec.get("uniqueItems") and len({_text(item) for item in value}) < len(value):
        yield invalid(path, "", f"{path} in body shouldn't contain duplicates")
    for index, item in enumerate(value):
        yield from validate(item, spec.get("items") or {}, f"{path}[{index}]")
    yield from _unique(value, spec, path)


def _unique(value: list[Any], spec: Spec, path: str) -> Errors:
    """Items of sets and maps are there once."""
    how, keys, seen = spec.get("x-kubernetes-list-type"), spec.get("x-kubernetes-list-map-keys") or (), set[str]()
    if how not in ("set", "map"):
        return
    for index, item in enumerate(value):
        shown = {key: item[key] for key in keys if key in item} if how == "map" and isinstance(item, dict) else item
        if _text(shown) in seen:
            yield duplicate(f"{path}[{index}]", shown)
        seen.add(_text(shown))


def _string(value: str, spec: Spec, path: str) -> Errors:
    if (limit := spec.get("maxLength")) is not None and len(value) > limit:
        yield too_long(path, limit)
    if (limit := spec.get("minLength")) is not None and len(value) < limit:
        yield invalid(path, value, f"{path} in body should be at least {limit} chars long")
    if (pattern := spec.get("pattern")) and not _matches(pattern, value):
        yield invalid(path, value, f"{path} in body should match '{pattern}'")
    check = _FORMATS.get(spec.get("format", ""))
    if check:
        try:
            check(value)
        except ValueError:
            yield type_invalid(path, value, f"{path} in body must be of type {spec['format']}: {_quoted(value)}")


def _number(value: float, spec: Spec, path: str) -> Errors:
    for limit, exclusive, words in (
        ("maximum", "exclusiveMaximum", ("less than", "less than or equal to")),
        ("minimum", "exclusiveMinimum", ("greater than", "greater than or equal to")),
    ):
        bound = spec.get(limit)
        if bound is None:
            continue
        strict = bool(spec.get(exclusive))
        beyond = value > bound if limit == "maximum" else value < bound
        if beyond or (strict and value == bound):
            yield invalid(path, value, f"{path} in body should be {words[not strict]} {bound}")
    step = spec.get("multipleOf")
    if step and value % step:
        yield invalid(path, value, f"{path} in body should be a multiple of {step}")


def _combined(value: Any, spec: Spec, path: str) -> Errors:
    """allOf, anyOf, oneOf, not."""
    for inner in spec.get("allOf") or ():
        yield from validate(value, inner, path)
    if options := spec.get("anyOf"):
        tries = [list(validate(value, inner, path)) for inner in options]
        if all(tries):
            yield invalid(path or "<nil>", "", f'"{path}" must validate at least one schema (anyOf)')
            yield from min(tries, key=len)
    if options := spec.get("oneOf"):
        tries = [list(validate(value, inner, path)) for inner in options]
        good = sum(not each for each in tries)
        if good != 1:
            found = f"Found {good} valid alternatives" if good else "Found none valid"
            why = f'"{path}" must validate one and only one schema (oneOf). {found}'
            yield invalid(path or "<nil>", "", why)
            if not good:
                yield from min(tries, key=len)
    if (inner := spec.get("not")) and not list(validate(value, inner, path)):
        yield invalid(path or "<nil>", "", f'"{path}" must not validate the schema (not)')


def _misfit(path: str, want: str, have: str) -> FieldError:
    where = path or "<nil>"
    return type_invalid(where, have, f"{path} in body must be of type {want}: {_quoted(have)}")


def _wanted(spec: Spec) -> str:
    return "integer,string" if spec.get(INT_OR_STRING) else spec.get("type", "")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True  # RE2 knows what Python does not; nobody is refused for that


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


_FORMATS: Final[dict[str, Any]] = {
    "date-time": times.canonical, "ipv4": IPv4Address, "ipv6": IPv6Address, "uuid": UUID,
    "date": lambda text: times.canonical(f"{text}T00:00:00Z"), "duration": times.parse_duration,
}  # fmt: skip
