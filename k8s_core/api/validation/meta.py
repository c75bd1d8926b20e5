"""ObjectMeta and label selectors. Stands for apimachinery's api/validation and meta/v1/validation."""

from typing import Any, Final

from k8s_core.api import Object, selectors
from k8s_core.api.field import forbidden, invalid, required, too_long
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import (
    Errors,
    NameCheck,
    bad,
    earlier,
    immutable,
    in_order,
    number,
    strings,
    sub,
    text,
)
from k8s_core.api.validation.formats import label_key, label_value

ANNOTATIONS_SIZE: Final = 256 * 1024
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
    yield from tags.validate("ObjectMeta", metadata, "metadata")


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
        yield from tags.validate("Owners", after, "metadata")
    if after.get("managedFields") is not before.get("managedFields"):
        yield from tags.validate("ManagedFields", after, "metadata")
    if changed:
        yield from tags.validate("Finalizers", after, "metadata")


def labels(values: Any, path: str) -> Errors:
    """Label keys and values."""
    for key, value in (values or {}).items():
        yield from bad(path, key, label_key(key))
        yield from bad(path, value or "", label_value(value or ""))


def annotations(values: Any, path: str) -> Errors:
    """Annotation keys, and the size of all annotations together."""
    size = 0
    for key, value in (values or {}).items():
        yield from bad(path, key, label_key(key.lower()))
        size += len(key.encode(errors="replace")) + len((value or "").encode(errors="replace"))
    if size > ANNOTATIONS_SIZE:
        yield too_long(path, ANNOTATIONS_SIZE)


def one_controller(owner: Object | None, path: str, owners: list[Object | None]) -> Errors:
    """At most one owner is the controller."""
    others = [item for item in earlier(owners, path) if item.get("controller")]
    if others and (owner or {}).get("controller"):
        names = (f"{text(item or {}, 'kind')}/{text(item or {}, 'name')}" for item in (others[0], owner))
        why = 'Only one reference can have Controller set to true. Found "true" in references for '
        shown = [in_order(item or {}, OWNER) for item in owners]
        yield invalid(path.rpartition("[")[0], shown, why + " and ".join(names))


def no_event(owner: Object, path: str) -> Errors:
    """An Event owns nothing."""
    if (text(owner, "apiVersion"), owner.get("kind")) == ("v1", "Event"):
        yield invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")


def finalizers(found: list[str] | None, path: str) -> Errors:
    """Finalizers are qualified names; deletion either orphans or deletes the dependents."""
    values = [value or "" for value in found or ()]
    for value in values:
        yield from bad(path, value, label_key(value))
    if "orphan" in values and "foregroundDeletion" in values:
        yield invalid(path, values, "finalizer orphan and foregroundDeletion cannot be both set")


def kube_finalizer(value: str | None, path: str) -> Errors:
    """A finalizer without a prefix must be one of Kubernetes' own."""
    if "/" not in (value or "") and value not in STANDARD_FINALIZERS:
        yield invalid(path, value or "", "name is neither a standard finalizer name nor is it fully qualified")


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
