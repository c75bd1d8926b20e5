"""PersistentVolumes, their claims and StorageClasses. Stands for parts of core's and storage's validation."""

import posixpath
from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required, too_long
from k8s_core.api.validation import meta
from k8s_core.api.validation.affinity import node_selector
from k8s_core.api.validation.common import (
    NOT_POSITIVE,
    Errors,
    bad,
    diff,
    dns_label,
    dns_subdomain,
    each,
    immutable,
    in_order,
    listed,
    nanos,
    no_backsteps,
    one_of,
    qualified_name,
    shown,
    sub,
    text,
)

ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
RECLAIM_POLICIES: Final = ("Delete", "Recycle", "Retain")
VOLUME_MODES: Final = ("Block", "Filesystem")
SOURCES: Final = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte",
    "cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
    "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
HOST_PATH_TYPES: Final = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
SECRET_REFS: Final = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
MAX_PROVISIONER_PARAMETERS: Final = 512
MAX_PROVISIONER_SIZE: Final = 256 * 1024


def persistent_volume(obj: Object) -> Errors:
    """A volume needs a size, access modes and one source."""
    spec = sub(obj, "spec")
    yield from _access_modes(spec, "spec", "")
    capacity = sub(spec, "capacity")
    if not capacity:
        yield required("spec.capacity")
    if set(capacity) != {"storage"}:
        yield not_supported("spec.capacity", capacity or None, ("storage",))
    for name, amount in capacity.items():
        yield from _positive(f"spec.capacity[{name}]", amount)
    if text(spec, "persistentVolumeReclaimPolicy"):
        yield from one_of(spec, "persistentVolumeReclaimPolicy", "spec", RECLAIM_POLICIES)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is not None:
            yield from node_selector(affinity["required"], "spec.nodeAffinity.required")
        else:
            yield required("spec.nodeAffinity.required", "must specify required node constraints")
    yield from _volume_source(spec)
    if name := text(spec, "storageClassName"):
        yield from dns_subdomain("spec.storageClassName", name)
    if spec.get("volumeMode") is not None:
        yield from one_of(spec, "volumeMode", "spec", VOLUME_MODES)


def persistent_volume_update(new: Object, old: Object) -> Errors:
    """The source, the mode and the nodes of a volume stay what they are."""
    yield from persistent_volume(new)
    after, before = sub(new, "spec"), sub(old, "spec")
    new_source, old_source = (in_order(spec, SOURCES) for spec in (after, before))
    if new_source != old_source:
        changes = diff(old_source, new_source)
        why = f"spec.persistentvolumesource is immutable after creation\n{changes}\n"
        yield forbidden("spec.persistentvolumesource", why)
    yield from immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        yield from immutable("nodeAffinity", after.get("nodeAffinity"), before["nodeAffinity"])


def _volume_source(spec: Object) -> Errors:
    kinds = [kind for kind in SOURCES if spec.get(kind) is not None]
    if not kinds:
        yield required("spec", "must specify a volume type")
    for kind in kinds[1:]:
        yield forbidden(f"spec.{kind}", "may not specify more than 1 volume type")
    kind = kinds[0] if kinds else ""
    source = sub(spec, kind) if kind else {}
    path = f"spec.{kind}"
    if kind == "hostPath":
        yield from host_path(source, path)
    elif kind == "nfs":
        for name in ("server", "path"):
            if not source.get(name):
                yield required(f"{path}.{name}")
        if not text(source, "path").startswith("/"):
            yield invalid(f"{path}.path", text(source, "path"), "must be an absolute path")
    elif kind == "local":
        if not source.get("path"):
            yield required(f"{path}.path")
        elif ".." in source["path"].split("/"):
            yield invalid(f"{path}.path", source["path"], "must not contain '..'")
        if spec.get("nodeAffinity") is None:
            yield required("spec.nodeAffinity", "Local volume requires node affinity")
    elif kind == "csi":
        yield from driver_name(f"{path}.driver", text(source, "driver"))
        if not source.get("volumeHandle"):
            yield required(f"{path}.volumeHandle")
        for name in SECRET_REFS:
            if source.get(name) is not None:
                yield from _secret_ref(source[name], f"{path}.{name}")
    root = posixpath.normpath(text(sub(spec, "hostPath"), "path") or ".") in ("/", "//")
    if kind == "hostPath" and root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", why)


def host_path(source: Object, path: str) -> Errors:
    """A path on the node, and what must be there."""
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(source["path"], f"{path}.path")
    if source.get("type") is not None and source["type"] not in HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", source["type"], HOST_PATH_TYPES)


def driver_name(path: str, value: str) -> Errors:
    """The name of a CSI driver."""
    if not value:
        yield required(path)
    if len(value) > names.LABEL_LENGTH:
        yield too_long(path, names.LABEL_LENGTH)
    yield from bad(path, value, names.dns1123_subdomain(value.lower()))


def _secret_ref(ref: Object, path: str) -> Errors:
    for name, check in (("name", dns_subdomain), ("namespace", dns_label)):
        if not ref.get(name):
            yield required(f"{path}.{name}")
        else:
            yield from check(f"{path}.{name}", ref[name])


def claim(obj: Object) -> Errors:
    """A claim."""
    yield from claim_spec(sub(obj, "spec"), "spec")


def claim_spec(spec: Object, path: str) -> Errors:
    """What a claim asks for."""
    if not listed(spec, "accessModes"):
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from meta.label_selector(spec.get("selector"), f"{path}.selector")
    yield from _access_modes(spec, path, None)
    requests = sub(spec, "resources", "requests")
    storage = f"{path}.resources[storage]"
    if "storage" not in requests:
        yield required(storage)
    else:
        yield from _positive(storage, requests["storage"])
    if name := text(spec, "storageClassName"):
        yield from dns_subdomain(f"{path}.storageClassName", name)
    if spec.get("volumeMode") is not None:
        yield from one_of(spec, "volumeMode", path, VOLUME_MODES)
    for kind in ("dataSource", "dataSourceRef"):
        if spec.get(kind) is not None:
            yield from _data_source(spec[kind], f"{path}.{kind}")
    if name := text(spec, "volumeAttributesClassName"):
        yield from dns_subdomain(f"{path}.volumeAttributesClassName", name)


def claim_update(new: Object, old: Object) -> Errors:
    """Of a claim's spec only the size of a bound claim may change, and only upwards; the volume is set once."""
    yield from claim(new)
    after, before = dict(sub(new, "spec")), dict(sub(old, "spec"))
    for name in ("storageClassName", "volumeName"):
        if before.get(name) is None or (name == "volumeName" and not before[name]):
            before[name] = after.get(name)
    asked, had = (
        sub(after, "resources", "requests").get("storage"),
        sub(before, "resources", "requests").get("storage"),
    )
    if sub(new, "status").get("phase") == "Bound":
        after["resources"] = before.get("resources")
        if after.get("volumeAttributesClassName") is not None:
            after["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    classes = [text(sub(o, "metadata", "annotations"), BETA_CLASS) for o in (new, old)]
    if classes[0] != classes[1]:
        yield invalid(f"metadata.annotations.{BETA_CLASS}", classes[0], "field is immutable")
    if any(after.get(name) != before.get(name) for name in {*after, *before}):
        yield forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName "
            f"for bound claims\n{diff(before, after)}\n",
        )
    if nanos(asked or "0") < nanos(had or "0"):
        capacity = sub(old, "status", "capacity").get("storage") or "0"
        if nanos(asked or "0") <= nanos(capacity):
            why = "field can not be less than status.capacity"
            yield forbidden("spec.resources.requests.storage", why)
    yield from immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))


def _access_modes(spec: Object, path: str, why_empty: str | None) -> Errors:
    modes = listed(spec, "accessModes")
    if not modes and why_empty is not None:
        yield required(f"{path}.accessModes", why_empty)
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(f"{path}.accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in modes):
        why = "may not use ReadWriteOncePod with other access modes"
        yield forbidden(f"{path}.accessModes", why)


def _positive(path: str, amount: Any) -> Errors:
    if nanos(amount) <= 0:
        yield invalid(path, shown(amount), NOT_POSITIVE)


def _data_source(source: Object, path: str) -> Errors:
    for name in ("name", "kind"):
        if not source.get(name):
            yield required(f"{path}.{name}")
    if group := text(source, "apiGroup"):
        yield from dns_subdomain(f"{path}.apiGroup", group)
    elif text(source, "kind") != "PersistentVolumeClaim":
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield invalid(path, text(source, "kind"), why)


def storage_class(obj: Object) -> Errors:
    """A StorageClass needs a provisioner."""
    provisioner = text(obj, "provisioner")
    if not provisioner:
        yield required("provisioner")
    else:
        yield from qualified_name("provisioner", provisioner.lower())
    parameters = sub(obj, "parameters")
    if len(parameters) > MAX_PROVISIONER_PARAMETERS:
        yield too_long("Provisioner Parameters", MAX_PROVISIONER_PARAMETERS)
    for key in parameters:
        if not key:
            yield invalid("parameters", key, "field can not be empty.")
    if obj.get("reclaimPolicy"):
        yield from one_of(obj, "reclaimPolicy", "", ("Delete", "Retain"))
    mode = text(obj, "volumeBindingMode")
    if not mode:
        yield required("volumeBindingMode")
    elif mode not in ("Immediate", "WaitForFirstConsumer"):
        yield not_supported("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    for place, term in each(obj, "allowedTopologies", ""):
        for where, requirement in each(term, "matchLabelExpressions", place.removeprefix(".")):
            if not listed(requirement, "values"):
                yield required(f"{where}.values")
            values = listed(requirement, "values")
            for index, value in enumerate(values):
                if value in values[:index]:
                    yield duplicate(f"{where}.values[{index}]", value)
            yield from qualified_name(f"{where}.key", text(requirement, "key"))


def storage_class_update(new: Object, old: Object) -> Errors:
    """Only whether a class allows expansion, and its metadata, may change."""
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        yield forbidden("parameters", "updates to parameters are forbidden.")
    if text(new, "provisioner") != text(old, "provisioner"):
        yield forbidden("provisioner", "updates to provisioner are forbidden.")
    if text(new, "reclaimPolicy") != text(old, "reclaimPolicy"):
        yield forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.")
    yield from immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def csi_driver(obj: Object) -> Errors:
    """A CSIDriver is named after the driver."""
    spec = sub(obj, "spec")
    for name in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(name) is None:
            yield required(f"spec.{name}")
    yield from one_of(spec, "fsGroupPolicy", "spec", ("ReadWriteOnceWithFSType", "File", "None"), optional=True)
    for index, mode in enumerate(listed(spec, "volumeLifecycleModes")):
        if mode not in ("Ephemeral", "Persistent"):
            yield not_supported(f"spec.volumeLifecycleModes[{index}]", mode, ("Ephemeral", "Persistent"))
