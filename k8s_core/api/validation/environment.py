"""What a container is given from outside: environment variables, mounted volumes, block devices.

Stands for parts of `pkg/apis/core/validation`.
"""

from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import forbidden, invalid, not_found, not_supported, required
from k8s_core.api.validation.common import Errors, bad, each, listed, sub, text
from k8s_core.api.validation.formats import descending_path
from k8s_core.api.validation.volumes import field_ref

ENV_FIELDS: Final = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
ENV_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def env_field(selector: Object, path: str) -> Errors:
    """A field of the Pod, for an environment variable."""
    yield from field_ref(selector, ENV_FIELDS, path)


def one_source(source: Object, path: str, variable: Object) -> Errors:
    """A variable's value comes from one place."""
    kinds = [kind for kind in ENV_SOURCES if source.get(kind) is not None]
    if not kinds:
        known = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(path, "", f"must specify one of: {known}")
    elif variable.get("value"):
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(kinds) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def from_one_source(source: Object | None, path: str) -> Errors:
    """Variables of one ConfigMap or one Secret."""
    kinds = [kind for kind in ("configMapRef", "secretRef") if (source or {}).get(kind) is not None]
    if not kinds:
        yield invalid(path.rpartition("[")[0], "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(kinds) > 1:
        yield invalid(path.rpartition("[")[0], "", "may not have more than one field specified at a time")


def mounts(container: Object, path: str, within: Object, context: Any) -> Errors:
    """Mounts of the Pod's volumes in a container."""
    volumes: dict[str, Object] = context.volumes
    devices = {text(d or {}, "name"): text(d or {}, "devicePath") for d in listed(container, "volumeDevices")}
    seen: set[str] = set()
    base = f"{path}.volumeMounts"
    for place, mount in each(container, "volumeMounts", path):
        name, at = text(mount, "name"), text(mount, "mountPath")
        if not name:
            yield required(f"{place}.name")
        if name not in volumes:
            yield not_found(f"{place}.name", name)
        if not at:
            yield required(f"{place}.mountPath")
        if at in seen:
            yield invalid(f"{place}.mountPath", at, "must be unique")
        seen.add(at)
        if name in devices:
            yield invalid(f"{place}.name", name, "must not already exist in volumeDevices")
        if at in devices.values():
            yield invalid(f"{place}.mountPath", at, "must not already exist as a path in volumeDevices")
        if volumes.get(name, {}).get("image") is not None:
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    yield invalid(f"{place}.{field}", mount[field], "not allowed in image volume sources")
        if mount.get("subPath"):
            yield from bad(f"{base}.subPath", mount["subPath"], descending_path(mount["subPath"]))
        if expression := text(mount, "subPathExpr"):
            if mount.get("subPath"):
                why = "subPathExpr and subPath are mutually exclusive"
                yield invalid(f"{place}.subPathExpr", expression, why)
            yield from bad(f"{base}.subPathExpr", expression, descending_path(expression))
        yield from _propagation(container, mount, base)


def _propagation(container: Object, mount: Object, path: str) -> Errors:
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if propagation is not None:
        allowed = ("Bidirectional", "HostToContainer", "None")
        if propagation not in allowed:
            yield not_supported(f"{path}.mountPropagation", propagation, allowed)
        privileged = sub(container, "securityContext").get("privileged")
        if propagation == "Bidirectional" and not privileged:
            why = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden(f"{path}.mountPropagation", why)
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            yield forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true")
        if propagation not in (None, "None"):
            why = "may only be specified when mountPropagation is None or not specified"
            yield forbidden(f"{path}.recursiveReadOnly", why)
    elif recursive not in (None, "Disabled"):
        allowed = ("Disabled", "Enabled", "IfPossible")
        yield not_supported(f"{path}.recursiveReadOnly", recursive, allowed)


def devices(container: Object, path: str, within: Object, context: Any) -> Errors:
    """Raw block volumes in a container."""
    volumes: dict[str, Object] = context.volumes
    mounts = {text(m or {}, "name"): text(m or {}, "mountPath") for m in listed(container, "volumeMounts")}
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for place, device in each(container, "volumeDevices", path):
        name, at = text(device, "name"), text(device, "devicePath")
        volume = volumes.get(name)
        if not name:
            yield required(f"{place}.name")
        if name in seen_names:
            yield invalid(f"{place}.name", name, "must be unique")
        if volume is None:
            yield not_found(f"{place}.name", name)
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{place}.name", name, why)
        if not at:
            yield required(f"{place}.devicePath")
        if at in seen_paths:
            yield invalid(f"{place}.devicePath", at, "must be unique")
        if ".." in at.split("/"):
            yield invalid(f"{place}.devicePath", at, "can not contain backsteps ('..')")
        if name in mounts:
            yield invalid(f"{place}.name", name, "must not already exist in volumeMounts")
        if at in mounts.values():
            yield invalid(f"{place}.devicePath", at, "must not already exist as a path in volumeMounts")
        seen_names.add(name)
        seen_paths.add(at)
