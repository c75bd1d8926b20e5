"""From a request's body to an object of a kind, as kube-apiserver's serializers do it.

A body may be JSON, YAML or protobuf. What comes out has only fields that the kind knows, with the types that it
knows: nulls are gone, quantities and timestamps are in canonical form. What Kubernetes refuses is refused with its
message; unknown and duplicate fields are errors, warnings or nothing, as `field_validation` says.

Leaves out: which empty values a Go type would write (defaults/shape.py), defaults, validation, and converters
between versions. Only StatusErrors come out of here.
"""

from typing import Any, Final

import orjson

from k8s_core.api import Object, errors, goyaml, protobuf
from k8s_core.api.coerce import convert
from k8s_core.api.field import invalid
from k8s_core.api.gojson import Members, load, load_exactly, name_of, plain
from k8s_core.api.schema import Type
from k8s_core.api.strategic import go_format
from k8s_core.limits import MAX_REQUEST_BODY

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES: Final = (JSON, YAML, PROTOBUF)

_SCHEME: Final = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
_META: Final = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_NO_KIND: Final = "couldn't get version/kind; json parse error: "
_SUMMARY: Final = 30
_OPTIONS: Final = ("DeleteOptions", "CreateOptions", "PatchOptions", "UpdateOptions", "GetOptions", "ListOptions")


def decode(body: bytes, content_type: str, type: Type, *, field_validation: str = "Warn") -> tuple[Object, list[str]]:
    """The object in a body, and the warnings about it; StatusError 400, 413 or 415."""
    _check_size(body)
    media = content_type.partition(";")[0].strip().lower() or JSON
    said: list[str] = []
    text = body
    try:
        if media == PROTOBUF and type.schema:
            value = protobuf.decode(body, type.schema, type)
        elif media == YAML:
            text, said = goyaml.to_json(body)
            value = load(text)
        elif media == JSON:
            value = load(body)
        else:
            raise errors.unsupported_media_type(MEDIA_TYPES if type.schema else (JSON, YAML))
    except ValueError as error:
        found = f"{_NO_KIND}{error}" if media == JSON else str(error)
        raise _unrecognized(type, found, body) from None
    group, version, kind = _meta(value, type, body)
    want = type.gvk
    if want and want[2] not in _OPTIONS:
        _check_kind(type, (group, version, kind))
    result, wrong, strict = convert(value, type)
    if wrong and media != PROTOBUF and not isinstance(value, Members):
        result, wrong, strict = convert(load_exactly(text), type)  # once more, with the literals of numbers
    strict = [] if field_validation == "Ignore" or media == PROTOBUF else said + strict
    if not wrong and strict and field_validation == "Strict":
        wrong = "strict decoding error: " + ", ".join(strict)
    if wrong:
        raise _unhandled(type, (group, version, kind), wrong)
    if kind:
        result["apiVersion"], result["kind"] = f"{group}/{version}" if group else version, kind
    return result, [line for text in strict for line in _lines(text)]


def decode_apply(body: bytes, *, field_validation: str = "Warn") -> tuple[Object, list[str]]:
    """The object in the YAML of a server-side apply, as it was written, and the warnings about it.

    Whether it fits its kind is the field manager's business (managedfields.py).
    """
    _check_size(body)
    try:
        text, said = goyaml.to_json(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    value = plain(load(text))
    if value is not None and not isinstance(value, dict):
        why = f"json: cannot unmarshal {name_of(value)} into Go value of type map[string]interface {{}}"
        raise errors.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    if said and field_validation == "Strict":
        raise errors.bad_request(f"error strict decoding YAML: error converting YAML to JSON: {said[0]}")
    return value or {}, [line for text in said for line in _lines(text)] if field_validation == "Warn" else []


def normalise(
    obj: Object, type: Type, *, field_validation: str = "Warn", patch: Any = None
) -> tuple[Object, list[str]]:
    """What a patch made of an object, as an object of its kind; StatusError 422 as kube-apiserver words it.

    Give the patch if it was a strategic one: then the API server reads Go maps, not JSON, and says so.
    """
    result, wrong, strict = convert(obj, type, from_maps=patch is not None)
    if patch is not None:
        strict.sort()
    if want := type.gvk:
        result.setdefault("kind", want[2])
        result.setdefault("apiVersion", f"{want[0]}/{want[1]}" if want[0] else want[1])
        wrong = wrong or _kind_changed(type, result)
    if field_validation == "Ignore":
        strict = []
    if not wrong and strict and field_validation == "Strict":
        wrong = "strict decoding error: " + ", ".join(strict)
    if wrong:
        text = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS).decode() if patch is None else go_format(patch)
        raise errors.invalid("", "", [invalid("patch", text, wrong)])
    return result, strict


def _check_size(body: bytes) -> None:
    if len(body) > MAX_REQUEST_BODY:
        raise errors.request_too_large(f"Request entity too large: limit is {MAX_REQUEST_BODY}")


def _meta(value: Any, type: Type, body: bytes) -> tuple[str, str, str]:
    """Group, version and kind that a body claims, or else those of the type."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        found = f"json: cannot unmarshal {name_of(value)} into Go value of type {_META}"
        raise _unrecognized(type, _NO_KIND + found, body)
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key) or "", str):
            found = f"json: cannot unmarshal {name_of(value[key])} into Go struct field .{key} of type string"
            raise _unrecognized(type, _NO_KIND + found, body)
    group, slash, version = (value.get("apiVersion") or "").partition("/")
    if "/" in version:
        raise _unrecognized(type, f"unexpected GroupVersion string: {value['apiVersion']}", body)
    group, version = (group, version) if slash else ("", group)
    want = type.gvk or ("", "", "")
    if not group and not version:
        group, version = want[:2]
    return group, version, value.get("kind") or want[2]


def _check_kind(type: Type, have: tuple[str, str, str]) -> None:
    """Refuse a body of another kind than the resource's."""
    want, schema = type.gvk, type.schema
    if have == want or want is None or schema is None:
        return
    group, version, kind = have
    api_version = f"{group}/{version}" if group else version
    if not schema.has_kind(*have):
        raise _unhandled(
            type, have, f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"'
        )
    if kind != want[2]:
        inner = f"{(want[0] or 'core').partition('.')[0]}.{want[2]}"
        raise _unhandled(type, have, f"converting ({version}.{kind}) to ({inner}): unknown conversion")
    expected = f"{want[0]}/{want[1]}" if want[0] else want[1]
    raise errors.bad_request(
        f"the API version in the data ({api_version}) does not match the expected API version ({expected})"
    )


def _kind_changed(type: Type, obj: Object) -> str:
    """What is wrong with an object that a patch gave another kind or version."""
    group, _, version = obj["apiVersion"].rpartition("/")
    try:
        _check_kind(type, (group, version, obj["kind"]))
    except errors.StatusError as error:
        return error.message.partition(" cannot be handled as a ")[2].partition(": ")[2] or error.message
    return ""


def _unhandled(type: Type, have: tuple[str, str, str], why: str) -> errors.StatusError:
    kind = type.gvk[2] if type.gvk else have[2]
    return errors.bad_request(f'{have[2]} in version "{have[1]}" cannot be handled as a {kind}: {why}')


def _unrecognized(type: Type, why: str, body: bytes) -> errors.StatusError:
    """The error about a body that does not even tell its kind; it shows how the body begins."""
    head = body[:_SUMMARY]
    shown = head.decode(errors="replace") if head[:1] == b"{" else head.hex() or "<empty>"
    more = " ..." if len(body) > _SUMMARY else ""
    kind = type.gvk[2] if type.gvk else "Unstructured"
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({shown}{more})")


def _lines(text: str) -> list[str]:
    """One warning for each line of what YAML says."""
    return [line.strip() for line in text.removeprefix(goyaml.STRICT).splitlines()]
