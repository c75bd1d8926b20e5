"""ObjectMeta and label selectors. Stands for apimachinery's api/validation and meta/v1/validation."""

from typing import Any, Final

from k8s_core.api import Object, selectors
from k8s_core.api.field import FieldError, forbidden, invalid, not_supported, required, too_long
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import (
    Errors,
    NameCheck,
    bad,
    check_label,
    check_label_value,
    check_qualified,
    each,
    immutable,
    in_order,
    number,
    qualified_name,
    strings,
    sub,
    text,
)

ANNOTATIONS_SIZE: Final = 256 * 1024
MANAGER_LENGTH: Final = 128
OWNER: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
STANDARD_FINALIZERS: Final = {"kubernetes", "orphan", "foregroundDeletion"}


def create(obj: Object, name_check: NameCheck) -> Errors:
    """Metadata of an object that is about to be created, its name already generated."""
    metadata = sub(obj, "metadata")
    if prefix := text(metadata, "generateName"):
        yield from bad("metadata.generateName", prefix, name_check(_mask_dash(prefix)))
    if name := text(metadata, "name"):
        yield from bad("metadata.name", name, name_check(name))
    else:
        yield required("metadata.name", "name or generateName is required")
    if namespace := text(metadata, "namespace"):
        yield from bad("metadata.namespace", namespace, check_label(namespace))
    if number(metadata, "generation") < 0:
        yield invalid("metadata.generation", metadata["generation"], "must be greater than or equal to 0")
    yield from labels(metadata.get("labels"), "metadata.labels")
    yield from annotations(metadata.get("annotations"), "metadata.annotations")
    yield from owner_references(metadata)
    yield from finalizers(metadata)
    yield from managed_fields(metadata)
    yield from kube_finalizers(metadata)


def update(new: Object, old: Object) -> Errors:
    """Metadata of an object that is about to be replaced: what may not change, and what changed."""
    after, before = sub(new, "metadata"), sub(old, "metadata")
    if after is before:
        return
    changed = strings(after, "finalizers") != strings(before, "finalizers")
    if before.get("deletionTimestamp") and changed:
        added = sorted(set(strings(after, "finalizers")) - set(strings(before, "finalizers")))
        if added:
            shown = ", ".join(f'"{name}"' for name in added)
            yield forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}",
            )
    if not after.get("resourceVersion"):
        yield invalid("metadata.resourceVersion", "", "must be specified for an update")
    if number(after, "generation") < number(before, "generation"):
        yield invalid("metadata.generation", number(after, "generation"), "must not be decremented")
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        yield from immutable(f"metadata.{name}", after.get(name), before.get(name))
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if after.get(name) != before.get(name):
            yield invalid(f"metadata.{name}", after.get(name), "field is immutable")
    if after.get("labels") != before.get("labels"):
        yield from labels(after.get("labels"), "metadata.labels")
    if after.get("annotations") != before.get("annotations"):
        yield from annotations(after.get("annotations"), "metadata.annotations")
    if after.get("ownerReferences") != before.get("ownerReferences"):
        yield from owner_references(after)
    if after.get("managedFields") is not before.get("managedFields"):
        yield from managed_fields(after)
    if changed:
        yield from kube_finalizers(after)


def labels(values: Any, path: str) -> Errors:
    """Label keys and values."""
    for key, value in (values or {}).items():
        yield from qualified_name(path, key)
        yield from bad(path, value or "", check_label_value(value or ""))


def annotations(values: Any, path: str) -> Errors:
    """Annotation keys, and the size of all annotations together."""
    size = 0
    for key, value in (values or {}).items():
        yield from bad(path, key, check_qualified(key.lower()))
        size += len(key.encode(errors="replace")) + len((value or "").encode(errors="replace"))
    if size > ANNOTATIONS_SIZE:
        yield too_long(path, ANNOTATIONS_SIZE)


def owner_references(metadata: Object) -> Errors:
    """Owners must be named in full, and at most one is the controller."""
    path = "metadata.ownerReferences"
    controller = ""
    for place, owner in each(metadata, "ownerReferences", "metadata"):
        version = text(owner, "apiVersion")
        if not version:
            yield required(f"{place}.apiVersion", "must not be empty")
        elif version.count("/") > 1 or version.endswith("/"):
            yield invalid(f"{place}.apiVersion", version, "must be <group>/<version> or <version>")
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield required(f"{place}.{name}", "must not be empty")
        if (version, owner.get("kind")) == ("v1", "Event"):
            yield invalid(place, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            found = f"{text(owner, 'kind')}/{text(owner, 'name')}"
            if controller:
                yield invalid(
                    path,
                    [in_order(item or {}, OWNER) for item in metadata["ownerReferences"]],
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {found}",
                )
            else:
                controller = found


def finalizers(metadata: Object) -> Errors:
    """Finalizers are qualified names; deletion either orphans or deletes the dependents."""
    path, values = "metadata.finalizers", strings(metadata, "finalizers")
    for value in values:
        yield from qualified_name(path, value)
    if "orphan" in values and "foregroundDeletion" in values:
        yield invalid(path, values, "finalizer orphan and foregroundDeletion cannot be both set")


def kube_finalizers(metadata: Object) -> Errors:
    """A finalizer without a prefix must be one of Kubernetes' own."""
    for index, value in enumerate(strings(metadata, "finalizers")):
        yield from kube_finalizer(f"metadata.finalizers[{index}]", value)


def kube_finalizer(path: str, value: str) -> Errors:
    """One finalizer without a prefix must be one of Kubernetes' own."""
    if "/" not in value and value not in STANDARD_FINALIZERS:
        yield invalid(path, value, "name is neither a standard finalizer name nor is it fully qualified")


def managed_fields(metadata: Object) -> Errors:
    """Managed fields that a client sent."""
    for path, entry in each(metadata, "managedFields", "metadata"):
        operation = text(entry, "operation")
        if not operation:
            yield required(f"{path}.operation", "must not be empty")
        elif operation not in ("Apply", "Update"):
            yield not_supported(f"{path}.operation", operation, ("Apply", "Update"))
        if text(entry, "fieldsType") not in ("", "FieldsV1"):
            yield invalid(f"{path}.fieldsType", entry["fieldsType"], "must be `FieldsV1`")
        if len(text(entry, "manager")) > MANAGER_LENGTH:
            yield too_long(f"{path}.manager", MANAGER_LENGTH)


def label_selector(selector: Object | None, path: str) -> Errors:
    """A LabelSelector, if there is one."""
    yield from tags.validate("LabelSelector", selector, path)


def shown(selector: Object | None) -> Object | None:
    """A LabelSelector as messages show it: in the order of its Go fields, labels sorted."""
    if selector is None:
        return None
    found = in_order(selector, ("matchLabels", "matchExpressions"))
    if found.get("matchLabels"):
        found["matchLabels"] = dict(sorted(found["matchLabels"].items()))
    return found


def is_empty_selector(selector: Object | None) -> bool:
    """Whether a LabelSelector has no requirement (and so matches everything)."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def matches(selector: Object | None, values: Object | None) -> bool | None:
    """Whether a LabelSelector matches labels; none at all matches nothing. None for a selector that is broken."""
    if selector is not None and any(True for _ in label_selector(selector, "")):
        return None
    if selector is not None and None in sub(selector, "matchLabels").values():
        selector = {**selector, "matchLabels": {k: v or "" for k, v in selector["matchLabels"].items()}}
    return selectors.from_label_selector(selector).matches(values)


def _mask_dash(prefix: str) -> str:
    # Upstream's maskTrailingDash: a generated name goes on after the dash.
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def conditions(node: Object, path: str) -> Errors:
    """A list of metav1.Condition."""
    seen: set[str] = set()
    for place, condition in each(node, "conditions", path):
        kind = text(condition, "type")
        if kind in seen:
            yield FieldError("FieldValueDuplicate", place, "", kind)
        seen.add(kind)
        if not kind:
            yield required(f"{place}.type", "is required")
        else:
            yield from qualified_name(f"{place}.type", kind)
        status = text(condition, "status")
        if not status:
            yield required(f"{place}.status")
        elif status not in ("False", "True", "Unknown"):
            yield not_supported(f"{place}.status", status, ("False", "True", "Unknown"))
        for name in ("lastTransitionTime", "reason"):
            if not condition.get(name):
                yield required(f"{place}.{name}")
