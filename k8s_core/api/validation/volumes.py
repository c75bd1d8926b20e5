"""Volumes of a Pod: one source each, and what each source needs.

Stands for the volume half of `pkg/apis/core/validation`. Sources of retired cloud volumes are only counted.
"""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, bad, each, number, sub, text
from k8s_core.api.validation.formats import local_path, nanos, short_name

VOLUME_FIELDS: Final = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
RESOURCE_FIELDS: Final = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
HUGE_PAGES: Final = ("limits.hugepages-", "requests.hugepages-")


def volumes(spec: Object, path: str, pod_name: str, found: dict[str, Object]) -> Errors:
    """All volumes of a Pod's spec; `found` takes the good ones by name, for the mounts to look up."""
    created = {f"{pod_name}-{text(v or {}, 'name')}" for v in spec.get("volumes") or () if (v or {}).get("ephemeral")}
    for place, volume in each(spec, "volumes", path):
        name = text(volume, "name")
        errors = tags.validate("Volume", volume, place, pod_name)
        errors += [required(f"{place}.name")] if not name else bad(f"{place}.name", name, short_name(name))
        if name in found:
            errors.append(duplicate(f"{place}.name", name))
        if not errors:
            found[name] = volume
        yield from errors
        claim = text(sub(volume, "persistentVolumeClaim"), "claimName")
        if pod_name and claim and claim in created:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            yield invalid(f"{place}.persistentVolumeClaim.claimName", claim, why)


def size_limit(value: Any, path: str) -> Errors:
    """An emptyDir cannot be smaller than nothing."""
    if nanos(value) < 0:
        yield forbidden(path, "SizeLimit field must be a valid resource quantity")


def ephemeral_claim(source: Object, path: str, volume: Object, pod_name: str) -> Errors:
    """The claim of an ephemeral volume is named after the Pod and the volume."""
    name = text(volume, "name")
    if pod_name and name:
        claim = f"{pod_name}-{name}"
        messages = (f'PVC name "{claim}": {message}' for message in names.dns1123_subdomain(claim))
        yield from bad(path.replace("ephemeral", "name"), name, messages)


def volume_field(selector: Object, path: str) -> Errors:
    """A field of the Pod, for a file."""
    yield from field_ref(selector, VOLUME_FIELDS, path)


def volume_resource(selector: Object, path: str) -> Errors:
    """A resource of a container, for a file."""
    yield from resource_field_ref(selector, path, in_volume=True)


def projections(source: Object, path: str) -> Errors:
    taken: set[str] = set()
    for place, projection in each(source, "sources", path):
        kinds = [kind for kind, value in projection.items() if value is not None]
        for kind in ("secret", "configMap"):
            if kind in kinds:
                part = projection[kind]
                if not part.get("name"):
                    yield required(f"{place}.{kind}.name")
                for item_path, item in each(part, "items", f"{place}.{kind}"):
                    yield from tags.validate("KeyToPath", item, item_path)
                    yield from _taken(taken, text(item, "path"), path, text(part, "name"))
        for item in sub(projection, "downwardAPI").get("items") or ():
            yield from tags.validate("DownwardAPIVolumeFile", item, f"{place}.downwardAPI")
            yield from _taken(taken, text(item or {}, "path"), path, text(item or {}, "path"))
        if "serviceAccountToken" in kinds:
            token, token_path = projection["serviceAccountToken"], f"{place}.serviceAccountToken"
            seconds = number(token, "expirationSeconds")
            if seconds < 600:
                why = "may not specify a duration less than 10 minutes"
                yield invalid(f"{token_path}.expirationSeconds", seconds, why)
            if seconds > 2**32:
                why = "may not specify a duration larger than 2^32 seconds"
                yield invalid(f"{token_path}.expirationSeconds", seconds, why)
            if not token.get("path"):
                yield required(f"{path}.path")
            else:
                yield from bad(f"{path}.path", token["path"], local_path(token["path"]))
        if len(kinds) > 1:
            yield forbidden(place, "may not specify more than 1 volume type")
        elif not kinds:
            yield required(place, "must specify exactly one volume type")


def _taken(taken: set[str], path: str, place: str, value: str) -> Errors:
    if path and path in taken:
        yield invalid(place, value, "conflicting duplicate paths")
    taken.add(path)


def field_ref(selector: Object, allowed: tuple[str, ...], path: str) -> Errors:
    """A field of the Pod, for an environment variable or a file."""
    for name in ("apiVersion", "fieldPath"):
        if not selector.get(name):
            yield required(f"{path}.{name}")
            return
    found = selector["fieldPath"]
    field, bracket, rest = found.partition("['")
    if bracket and rest.endswith("']"):
        key = rest[:-2]
        if field == "metadata.annotations":
            yield from bad(path, key.lower(), names.qualified_name(key.lower()))
        elif field == "metadata.labels":
            yield from bad(path, key, names.qualified_name(key))
        elif field in FIELD_LABELS:
            yield invalid(path, field, "does not support subscript")
        else:
            yield _unknown_field(f"{path}.fieldPath", found)
    elif found not in FIELD_LABELS:
        yield _unknown_field(f"{path}.fieldPath", found)
    elif found not in allowed:
        yield not_supported(f"{path}.fieldPath", found, allowed)


def _unknown_field(path: str, value: str) -> Any:
    return invalid(path, value, f"error converting fieldPath: field label not supported: {value}")


FIELD_LABELS: Final = {
    *VOLUME_FIELDS,
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
}
"""What the v1 conversion knows as a field of a Pod."""


def resource_field_ref(selector: Object, path: str, *, in_volume: bool = False) -> Errors:
    """A resource of a container, for an environment variable or a file."""
    name = text(selector, "resource")
    if in_volume and not selector.get("containerName"):
        yield required(f"{path}.containerName")
    elif not name:
        yield required(f"{path}.resource")
    elif name not in RESOURCE_FIELDS and not name.startswith(HUGE_PAGES):
        yield not_supported(f"{path}.resource", name, RESOURCE_FIELDS)
    divisor = str(selector.get("divisor") or "0")
    if not nanos(divisor):
        return
    kind = name.partition(".")[2]
    if kind == "cpu":
        if divisor not in ("1m", "1"):
            why = "only divisor's values 1m and 1 are supported with the cpu resource"
            yield invalid(f"{path}.divisor", name, why)
    elif kind in DIVIDED and divisor not in BYTE_DIVISORS:
        shown = ", ".join(BYTE_DIVISORS)
        why = f"only divisor's values {shown} are supported with the {DIVIDED[kind]} resource"
        yield invalid(f"{path}.divisor", name, why)


DIVIDED: Final = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}
BYTE_DIVISORS: Final = (
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
)  # fmt: skip
