"""PersistentVolumes, their claims and StorageClasses: what is logic. Stands for parts of upstream's validation."""

import posixpath
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import forbidden, invalid, not_supported, required, too_long
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, bad, diff, immutable, in_order, sub, text
from k8s_core.api.validation.formats import NOT_POSITIVE, label_key, nanos, shown

ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
MAX_PROVISIONER_PARAMETERS: Final = 512


def access_modes(values: list[str] | None, path: str) -> Errors:
    """Known ones; ReadWriteOncePod stands alone."""
    modes = values or []
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in modes):
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def only_storage(capacity: Object | None, path: str) -> Errors:
    """A volume has a size and nothing else."""
    if set(capacity or ()) != {"storage"}:
        yield not_supported(path, capacity or None, ("storage",))


def not_all_recycled(source: Object, path: str, spec: Object) -> Errors:
    """Nobody wants a node's whole disk emptied."""
    root = posixpath.normpath(text(source, "path") or ".") in ("/", "//")
    if root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        place = path.replace("hostPath", "persistentVolumeReclaimPolicy")
        yield forbidden(place, "may not be 'recycle' for a hostPath mount of '/'")


def on_its_node(source: Object, path: str, spec: Object) -> Errors:
    """A local volume says where it is."""
    if spec.get("nodeAffinity") is None:
        yield required(path.replace("local", "nodeAffinity"), "Local volume requires node affinity")


def persistent_volume_update(new: Object, path: str, within: Any, old: Object) -> Errors:
    """The source, the mode and the nodes of a volume stay what they are."""
    after, before = sub(new, "spec"), sub(old, "spec")
    sources = tags.file("storage")["PersistentVolumeSource"]["."]["union"]
    new_source, old_source = (in_order(spec, sources) for spec in (after, before))
    if new_source != old_source:
        changes = diff(old_source, new_source)
        why = f"spec.persistentvolumesource is immutable after creation\n{changes}\n"
        yield forbidden("spec.persistentvolumesource", why)
    yield from immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        yield from immutable("nodeAffinity", after.get("nodeAffinity"), before["nodeAffinity"])


def requested_storage(resources: Object | None, path: str) -> Errors:
    """A claim says how much it wants."""
    requests = sub(resources or {}, "requests")
    if "storage" not in requests:
        yield required(f"{path}[storage]")
    elif nanos(requests["storage"]) <= 0:
        yield invalid(f"{path}[storage]", shown(requests["storage"]), NOT_POSITIVE)


def claim_update(new: Object, path: str, within: Any, old: Object) -> Errors:
    """Of a claim's spec only the size of a bound claim may change, and only upwards; the volume is set once."""
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


def provisioner(name: str, path: str) -> Errors:
    """A qualified name, shown as it is compared."""
    yield from bad(path, name.lower(), label_key(name.lower()))


def parameters(values: Object | None, path: str) -> Errors:
    """Not too many parameters, and each has a name."""
    if len(values or ()) > MAX_PROVISIONER_PARAMETERS:
        yield too_long("Provisioner Parameters", MAX_PROVISIONER_PARAMETERS)
    for key in values or ():
        if not key:
            yield invalid(path, key, "field can not be empty.")
