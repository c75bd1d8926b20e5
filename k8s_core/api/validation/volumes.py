"""Volumes of a Pod: one source each, and what each source needs.

Stands for the volume half of `pkg/apis/core/validation`. Sources of retired cloud volumes are only counted.
"""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import storage
from k8s_core.api.validation.common import (
    Errors,
    bad,
    dns_label,
    each,
    local_path,
    nanos,
    number,
    sub,
    text,
)

MODE_MESSAGE: Final = "must be a number between 0 and 0777 (octal), both inclusive"
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
# In upstream's order, which decides what is called the second source.
SOURCES: Final = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
# What must be there, in upstream's order; the plain cases.
NEEDS: Final = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
}


def volumes(spec: Object, path: str, pod_name: str, found: dict[str, Object]) -> Errors:
    """All volumes of a Pod's spec; `found` takes the good ones by name, for the mounts to look up."""
    created = {f"{pod_name}-{text(v or {}, 'name')}" for v in spec.get("volumes") or () if (v or {}).get("ephemeral")}
    for place, volume in each(spec, "volumes", path):
        name = text(volume, "name")
        errors = list(_source(volume, place, name, pod_name))
        errors += [required(f"{place}.name")] if not name else dns_label(f"{place}.name", name)
        if name in found:
            errors.append(duplicate(f"{place}.name", name))
        if not errors:
            found[name] = volume
        yield from errors
        claim = text(sub(volume, "persistentVolumeClaim"), "claimName")
        if pod_name and claim and claim in created:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            yield invalid(f"{place}.persistentVolumeClaim.claimName", claim, why)


def _source(volume: Object, path: str, name: str, pod_name: str) -> Errors:
    kinds = [kind for kind in SOURCES if volume.get(kind) is not None]
    if not kinds:
        yield required(path, "must specify a volume type")
        return
    for kind in kinds:
        place, source = f"{path}.{kind}", volume[kind]
        if kind != kinds[0]:
            yield forbidden(place, "may not specify more than 1 volume type")
            continue
        for field in NEEDS.get(kind, ()):
            if not source.get(field):
                yield required(f"{place}.{field}")
        check = _CHECKS.get(kind)
        if check is not None:
            yield from check(source, place)
        if kind == "ephemeral" and pod_name and name:
            claim = f"{pod_name}-{name}"
            messages = (f'PVC name "{claim}": {m}' for m in names.dns1123_subdomain(claim))
            yield from bad(f"{path}.name", name, messages)


def _empty_dir(source: Object, path: str) -> Errors:
    if source.get("sizeLimit") is not None and nanos(source["sizeLimit"]) < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _secret(source: Object, path: str) -> Errors:
    if not source.get("secretName"):
        yield required(f"{path}.secretName")
    yield from _mode(source, "defaultMode", path)
    yield from _items(source, path)


def _config_map(source: Object, path: str) -> Errors:
    if not source.get("name"):
        yield required(f"{path}.name")
    yield from _mode(source, "defaultMode", path)
    yield from _items(source, path)


def _nfs(source: Object, path: str) -> Errors:
    if not text(source, "path").startswith("/"):
        yield invalid(f"{path}.path", text(source, "path"), "must be an absolute path")


def _iscsi(source: Object, path: str) -> Errors:
    yield from bad(f"{path}.lun", number(source, "lun"), names.in_range(number(source, "lun"), 0, 255))


def _image(source: Object, path: str) -> Errors:
    if not source.get("reference"):
        yield required(f"{path}.reference")
    policy = text(source, "pullPolicy")
    if policy and policy not in ("Always", "IfNotPresent", "Never"):
        yield not_supported(f"{path}.pullPolicy", policy, ("Always", "IfNotPresent", "Never"))


def _ephemeral(source: Object, path: str) -> Errors:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
    else:
        yield from storage.claim_spec(sub(template, "spec"), f"{path}.volumeClaimTemplate.spec")


def _downward_api(source: Object, path: str) -> Errors:
    yield from _mode(source, "defaultMode", path)
    for item in source.get("items") or ():
        yield from _downward_file(item or {}, path)


def _downward_file(item: Object, path: str) -> Errors:
    if not item.get("path"):
        yield required(f"{path}.path")
    yield from local_path(text(item, "path"), f"{path}.path")
    if item.get("fieldRef") is not None:
        yield from field_ref(item["fieldRef"], VOLUME_FIELDS, f"{path}.fieldRef")
        if item.get("resourceFieldRef") is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield invalid(path, "resource", why)
    elif item.get("resourceFieldRef") is not None:
        yield from resource_field_ref(item["resourceFieldRef"], f"{path}.resourceFieldRef", in_volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from _mode(item, "mode", path)


def _projected(source: Object, path: str) -> Errors:
    yield from _mode(source, "defaultMode", path)
    taken: set[str] = set()
    for place, projection in each(source, "sources", path):
        kinds = [kind for kind, value in projection.items() if value is not None]
        for kind in ("secret", "configMap"):
            if kind in kinds:
                part = projection[kind]
                if not part.get("name"):
                    yield required(f"{place}.{kind}.name")
                for item_path, item in each(part, "items", f"{place}.{kind}"):
                    yield from _key_to_path(item, item_path)
                    yield from _taken(taken, text(item, "path"), path, text(part, "name"))
        for item in sub(projection, "downwardAPI").get("items") or ():
            yield from _downward_file(item or {}, f"{place}.downwardAPI")
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
                yield from local_path(token["path"], f"{path}.path")
        if len(kinds) > 1:
            yield forbidden(place, "may not specify more than 1 volume type")
        elif not kinds:
            yield required(place, "must specify exactly one volume type")


def _taken(taken: set[str], path: str, place: str, value: str) -> Errors:
    if path and path in taken:
        yield invalid(place, value, "conflicting duplicate paths")
    taken.add(path)


def _items(source: Object, path: str) -> Errors:
    for place, item in each(source, "items", path):
        yield from _key_to_path(item, place)


def _key_to_path(item: Object, path: str) -> Errors:
    for name in ("key", "path"):
        if not item.get(name):
            yield required(f"{path}.{name}")
    yield from local_path(text(item, "path"), f"{path}.path")
    yield from _mode(item, "mode", path)


def _mode(node: Object, name: str, path: str) -> Errors:
    if not 0 <= number(node, name) <= 0o777:
        yield invalid(f"{path}.{name}", node[name], MODE_MESSAGE)


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

_CHECKS: Final = {
    "emptyDir": _empty_dir,
    "hostPath": storage.host_path,
    "secret": _secret,
    "configMap": _config_map,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "image": _image,
    "ephemeral": _ephemeral,
    "downwardAPI": _downward_api,
    "projected": _projected,
}
