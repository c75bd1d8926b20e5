"""Who set which field: managedFields, and server-side apply, which is built on them.

Stands for apimachinery's `util/managedfields` (its chain of managers, read from the inside out) over
structured-merge-diff's `merge.Updater`. `update` is on every write's way and must be cheap: it compares only what is
not identical, and a set that stays as it was is never copied. Objects have one version here, so upstream's
conversions between versions are left out.
"""

import functools
from typing import Any, Final

import orjson

from k8s_core import limits
from k8s_core.api import Object, managers, typed
from k8s_core.api.errors import StatusError, apply_conflict, bad_request
from k8s_core.api.fieldpath import EMPTY, SELF, Set, difference, has, insert, intersection, paths, show, union
from k8s_core.api.managers import Entry, Identity
from k8s_core.api.schema import Type

_TEMPLATES, _TEMPLATE_SIZE = 256, 16_384
_templates: dict[tuple[tuple[Any, ...], Type | None, str], Set] = {}

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Fields that nobody owns (stripmeta.go).
_UNOWNED_META: Final = dict.fromkeys(
    ("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
     "resourceVersion")
)  # fmt: skip
# Fields that an endpoint does not let its clients change: GetResetFields of each resource's strategy.
_RESET: Final[dict[str, tuple[str, ...]]] = {
    "": ("status",),
    "status": ("spec",),
    "status/Pod": ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
    "status/Deployment": ("spec", "metadata.labels"),
    "status/CustomResourceDefinition": ("spec", "metadata"),
    "status/APIService": ("spec", "metadata"),
    "status/VolumeAttachment": ("spec", "metadata"),
    "status/FlowSchema": ("spec", "metadata"),
    "status/PriorityLevelConfiguration": ("spec", "metadata"),
    "status/ServiceCIDR": ("spec", "metadata"),
    "status/ResourceClaim": ("spec", "metadata"),
    "approval": ("spec", "status.certificate"),
}
# Structs that Go holds by value: they are there, empty, in an object that has not been filled in yet, so that
# creating an object sets what is in them but not them.
_BY_VALUE: Final = frozenset(
    ("metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate", "source", "resources",
     "involvedObject", "scaleTargetRef", "names", "devices", "priorityLevelConfiguration")
)  # fmt: skip


def update(
    old: Object | None, new: Object, type: Type | None, manager: str, now: str, subresource: str = ""
) -> list[Entry]:
    """The managedFields of `new`, which `manager` makes of `old` (None: it is created); `now` is an RFC 3339 time.

    A client may bring its own managedFields along in `new`; an empty list switches the tracking off.
    """
    live: list[Entry] = (old["metadata"].get("managedFields") or []) if old is not None else []
    entries = _requested(live, new["metadata"].get("managedFields"), subresource)
    if old is None:
        changed, removed = _created(new, type, subresource), EMPTY
    elif not entries:
        return []
    else:
        changed, removed = typed.compare(old, new, type, _skipped(subresource, new["kind"]))
    if not changed and not removed:
        return entries
    me = (manager or "unknown", "Update", new["apiVersion"], subresource)
    result, mine = managers.without(entries, changed, removed, me)
    if changed:
        result.append(managers.make(me, now, union(mine.get("fieldsV1", EMPTY) if mine else EMPTY, changed)))
    elif mine:
        result.append(mine)
    return managers.in_order(managers.capped(result))


def apply(
    live: Object | None,
    applied: Object,
    type: Type | None,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> Object:
    """`applied` merged into `live` (None: it is created) as server-side apply does, managedFields included.

    Raises StatusError: 409 with a cause FieldManagerConflict for each field that another manager holds at another
    value, 400 for what does not fit the schema. The result is a private copy, not yet defaulted.
    """
    _check(live, applied, type)
    entries: list[Entry] = (live["metadata"].get("managedFields") or []) if live is not None else []
    if live is not None and not entries:
        entries = update(None, _untracked(live), type, "before-first-apply", now, subresource)
    me = (manager or "unknown", "Apply", applied["apiVersion"], subresource)
    conflicts, result = _apply(live, applied, type, entries, me, now)
    if conflicts and not force:
        if manager == "kubectl" and live is not None:
            conflicts = _not_last_applied(conflicts, live, type)
        if conflicts:
            raise _conflict(conflicts)
    annotations = result["metadata"].get("annotations") or {}
    if manager == "kubectl" and annotations.get(LAST_APPLIED):
        annotations = {**annotations, LAST_APPLIED: _last_applied(applied)}
        if sum(len(key) + len(value) for key, value in annotations.items()) > limits.MAX_ANNOTATIONS_SIZE:
            del annotations[LAST_APPLIED]
        result["metadata"]["annotations"] = annotations
    return result


def keep_times(old: Object, new: Object) -> None:
    """Put the old managedFields back into `new` if nothing but their times differs, so that nothing is written."""
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if before is after or not before or not after or len(before) != len(after):
        return
    if all({**one, "time": ""} == {**other, "time": ""} for one, other in zip(before, after, strict=True)):
        unchanged = {**new, "metadata": {**new["metadata"], "managedFields": before}}
        if unchanged == old:
            new["metadata"]["managedFields"] = before


def manager_name(field_manager: str, user_agent: str) -> str:
    """The manager of a request: its fieldManager parameter, or the first part of its user agent."""
    return field_manager or "".join(c for c in user_agent.partition("/")[0] if c.isprintable())[:128]


def _requested(live: list[Entry], given: Any, subresource: str) -> list[Entry]:
    """The entries to start from: those in the request if it may set them and they make sense."""
    if given is live or given is None or subresource or given == live:
        return live
    if not given or given == [{}]:
        return []
    try:
        return managers.decode(given) or live
    except (ValueError, TypeError, AttributeError, RecursionError):
        return live


# --- what is not tracked --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _skipped(subresource: str, kind: str) -> typed.Skip:
    """The fields to leave out of account at an endpoint: nobody's, and those it does not let clients change."""
    skip: dict[str, Any] = {"apiVersion": None, "kind": None, "metadata": dict(_UNOWNED_META)}
    reset = _RESET.get(f"{subresource}/{kind}") or _RESET.get(subresource) or _RESET[""]
    for path in reset:
        name, _, inner = path.partition(".")
        if inner:
            skip.setdefault(name, {})[inner] = None
        else:
            skip[name] = None
    return skip


def _exclude(fields: Set, skip: typed.Skip) -> Set:
    result: Set = {}
    for element, node in fields.items():
        name = element[2:]
        if element == SELF:
            continue  # of metadata, nobody's either
        if name not in skip:
            result[element] = node
        elif (inner := skip[name]) is not None and (below := _exclude(node, inner)):
            result[element] = below
    return result


def _created(new: Object, type: Type | None, subresource: str) -> Set:
    """The fields that creating an object sets: a thousand Pods of one template, or events, set the same ones."""
    key = (_shape({**new, "metadata": _owned(new["metadata"])}), type, subresource)
    if key not in _templates:
        if len(_templates) >= _TEMPLATES:
            _templates.clear()
        _templates[key] = typed.compare(_empty(type, new), new, type, _skipped(subresource, new["kind"]))[0]
    return _templates[key]


def _owned(meta: Object) -> Object:
    return {name: value for name, value in meta.items() if name not in _UNOWNED_META}


def _shape(value: Object) -> tuple[Any, ...]:
    """Which fields are there, and what is in lists; no other value has a say in which fields are set."""
    return tuple(
        (name, _shape(item) if item.__class__ is dict else _items(item) if item.__class__ is list else item is None)
        for name, item in value.items()
    )


def _items(value: list[Any]) -> object:
    text = orjson.dumps(value)
    return text if len(text) <= _TEMPLATE_SIZE else object()  # equal to nothing: too long to be remembered


def _empty(type: Type | None, value: Object) -> Object:
    """What Go has of an object before anything is filled in: structs held by value, and lists that are null."""
    if type is None or not type.name.startswith("io.k8s."):
        return {"metadata": {}}
    empty: Object = {}
    for name, item in value.items():
        field = type.fields.get(name)
        if field is None:
            continue
        if field.kind == "object":
            pointer = name == "template" and type.name.endswith(".ReplicationControllerSpec")
            if name in _BY_VALUE and not pointer and isinstance(item, dict):
                empty[name] = _empty(field, item)
        elif field.kind in ("list", "map") and name in type.required:
            empty[name] = None
    return empty


def _untracked(live: Object) -> Object:
    return {**live, "metadata": {**live["metadata"], "managedFields": None}}


# --- apply -------------------------------------------------------------------------------------------------------

Conflict = tuple[Identity, tuple[str, ...]]


def _check(live: Object | None, applied: Object, type: Type | None) -> None:
    metadata = applied.get("metadata")
    have = (applied.get("apiVersion"), applied.get("kind"))
    want = (live["apiVersion"], live["kind"]) if live is not None else have
    if type is not None and type.gvk:
        group, version, kind = type.gvk
        want = (f"{group}/{version}" if group else version, kind)
    if have != want or not all(have):
        raise bad_request(f"invalid object type: {_kind_text(applied)}")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if problem := typed.validate(applied, type):
        where = metadata if isinstance(metadata, dict) else {}
        name = f"{where.get('namespace', '')}/{where.get('name', '')}; {_kind_text(applied)}"
        # Upstream answers 500 without a reason; kubectl prints the same for 400.
        raise StatusError(400, "", f"failed to create typed patch object ({name}): {problem}")


def _kind_text(obj: Object) -> str:
    version = str(obj.get("apiVersion", ""))
    return f"{version if '/' in version else '/' + version}, Kind={obj.get('kind', '')}"


def _apply(
    live: Object | None, applied: Object, type: Type | None, entries: list[Entry], me: Identity, now: str
) -> tuple[list[Conflict], Object]:
    """The conflicts, and the object as it is if there are none or they are overruled."""
    skip = _skipped(me[3], applied["kind"])
    before = live if live is not None else {}
    fields = _exclude(typed.fields_of(applied, type), skip)
    last = next((entry for entry in entries if managers.identity(entry) == (me[0], "Apply", "", me[3])), None)
    others = [entry for entry in entries if entry is not last]
    merged = typed.merge(before, applied, type)
    if last and last.get("fieldsV1"):
        merged = _prune(merged, [*(entry.get("fieldsV1", EMPTY) for entry in others), fields], last["fieldsV1"], type)
    changed, removed = typed.compare(before, merged, type, skip)
    conflicts = [
        (managers.identity(entry), path)
        for entry in others
        for path in paths(intersection(entry.get("fieldsV1", EMPTY), changed))
    ]
    kept, _ = managers.without(others, changed, removed, me)
    if fields:
        # An apply that changes nothing does not count as one.
        time = now if merged != before else (last or {}).get("time", "")
        kept.append(managers.make(me, time, fields))
    result: Object = _settled(merged, before)
    result["metadata"] = {**result.get("metadata", {}), "managedFields": managers.in_order(kept)}
    if not kept:
        del result["metadata"]["managedFields"]
    return conflicts, result


def _prune(merged: Object, owned: list[Set], last: Set, type: Type | None) -> Object:
    """Take away what was applied last time and is not now, unless somebody else owns it."""
    name = functools.partial(typed.with_named_fields, type=type)
    last = name(last)
    everything = name(typed.fields_of(merged, type))
    left = name(typed.fields_of(typed.remove(merged, last, type) or {}, type))
    for fields in owned:
        left = union(left, name(fields))
    pruned = typed.remove(merged, difference(everything, left), type) or {}
    # What went only because something above it did, and was not applied last time, stays.
    gone = difference(everything, name(typed.fields_of(pruned, type)))
    kept: Object = typed.remove(merged, intersection(gone, last), type) or {}
    return kept


def _settled(value: Any, live: Any) -> Any:
    """A deep copy without the nulls that merging left: decoding would make nothing of them."""
    if value is live:
        return orjson.loads(orjson.dumps(value))
    if isinstance(value, dict):
        there = live if isinstance(live, dict) else {}
        return {key: _settled(item, there.get(key)) for key, item in value.items() if item is not None}
    return [_settled(item, None) for item in value] if isinstance(value, list) else value


def _not_last_applied(conflicts: list[Conflict], live: Object, type: Type | None) -> list[Conflict]:
    """Conflicts less those with what kubectl's own client-side apply set and nobody changed since."""
    try:
        last = orjson.loads((live["metadata"].get("annotations") or {}).get(LAST_APPLIED) or "null")
    except orjson.JSONDecodeError:
        return conflicts
    if not isinstance(last, dict) or last.get("apiVersion") != live["apiVersion"] or typed.validate(last, type):
        return conflicts
    changed, removed = typed.compare(last, live, type)
    allowed = difference(difference(typed.fields_of(last, type), changed), removed)
    wanted: Set = EMPTY
    for _, path in conflicts:
        wanted = insert(wanted, path)
    if not difference(wanted, allowed):
        return []
    return [conflict for conflict in conflicts if not has(allowed, conflict[1])]


def _last_applied(applied: Object) -> str:
    metadata = dict(applied["metadata"])
    if metadata.get("annotations") is not None:
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    return orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"


def _conflict(conflicts: list[Conflict]) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {managers.show_manager(who)}",
            "field": show(path),
        }
        for who, path in conflicts
    ]
    if len(conflicts) == 1:
        who, path = conflicts[0]
        return apply_conflict(
            causes, f"Apply failed with 1 conflict: conflict with {managers.show_manager(who)}: {show(path)}"
        )
    lines: list[str] = []
    for manager in sorted({who for who, _ in conflicts}, key=managers.identity_text):
        lines.append(f"conflicts with {managers.show_manager(manager)}:")
        lines += [f"- {show(path)}" for who, path in conflicts if who == manager]
    return apply_conflict(causes, f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines))
