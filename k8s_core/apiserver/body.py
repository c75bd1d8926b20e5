"""From a request's body to the object it carries: which kind is expected, and how strictly it is read."""

from k8s_core.api import errors, patch
from k8s_core.api.decode import decode, decode_apply
from k8s_core.api.schema import Schema
from k8s_core.apiserver.request import Request
from k8s_core.apiserver.subresources import patch_kind

LEVELS = ("Strict", "Warn", "Ignore")
CONNECTIONS = ("exec", "attach", "portforward", "proxy", "log")
"""Subresources whose body is not an object."""


def decode_body(request: Request, schema: Schema) -> None:
    """Fill `request.object` and its warnings; StatusError 400, 413, 415 or 422 if the body is no good."""
    resource = request.resource
    assert resource is not None
    media = request.headers.get("content-type") or "application/json"
    level = request.param("fieldValidation") or "Warn"
    if level not in LEVELS:
        raise errors.bad_request(
            f'fieldValidation: Unsupported value: "{level}": supported values: "", "Ignore", "Strict", "Warn"'
        )
    if request.verb in ("create", "update") and request.subresource not in CONNECTIONS:
        about = resource.subresources.get(request.subresource, resource) if request.subresource else resource
        if resource.custom and request.subresource != "scale":
            request.object, warnings = resource.custom.decode(request.body, media, level)
            request.warnings.extend(warnings)
        else:
            _read(request, schema, (about.group, about.version, about.kind), media, level)
    elif request.verb == "patch" and patch_kind(request) == "apply":
        # Read without the schema: the field manager holds against it what does not fit.
        request.object, warnings = decode_apply(request.body, field_validation=level)
        request.warnings.extend(warnings)
        if not request.param("fieldManager"):
            why = "fieldManager: Required value: is required for apply patch"
            raise errors.StatusError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {why}')
    elif request.verb == "patch":
        request.object = patch.decode(patch_kind(request), request.body)
    elif request.verb in ("delete", "deletecollection"):
        request.object = {}
        if request.body.strip():
            options = schema.kind("", "v1", "DeleteOptions")
            request.object, _ = decode(request.body, media, options, field_validation="Ignore")
        asked = {"gracePeriodSeconds": request.number("gracePeriodSeconds")}
        asked |= {"propagationPolicy": request.param("propagationPolicy") or None}  # type: ignore[dict-item]
        request.object |= {name: value for name, value in asked.items() if value is not None}


def _read(request: Request, schema: Schema, expected: tuple[str, str, str], media: str, level: str) -> None:
    group, version, kind = expected
    obj, warnings = decode(request.body, media, schema.kind(group, version, kind), field_validation=level)
    request.warnings.extend(warnings)
    api_version = f"{group}/{version}" if group else version
    obj.setdefault("apiVersion", api_version)
    obj.setdefault("kind", kind)
    if obj["apiVersion"] != api_version:
        raise errors.bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match the expected API version ({api_version})"
        )
    if obj["kind"] != kind:
        raise errors.bad_request(f'{obj["kind"]} in version "{version}" cannot be handled as a {kind}: no kind match')
    request.object = obj
