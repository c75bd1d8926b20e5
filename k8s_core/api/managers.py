"""The entries of managedFields: who (manager, operation, version, subresource) holds which fields since when.

Stands for apimachinery's `managedfields/internal/{managedfields,capmanagers,conflict}.go`.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from k8s_core import limits
from k8s_core.api.field import quote
from k8s_core.api.fieldpath import EMPTY, Set, canonical, difference, union

Entry = dict[str, Any]
Identity = tuple[str, str, str, str]
"""(manager, operation, apiVersion, subresource): what tells entries apart."""


def decode(entries: Any) -> list[Entry]:
    """A client's managedFields in the server's form. Raises ValueError with apimachinery's text."""
    result: dict[Identity, Entry] = {}
    for i, entry in enumerate(entries):
        if entry.get("operation") not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion"):
            raise ValueError("apiVersion must not be empty")
        if not entry.get("fieldsType"):
            raise ValueError(f"missing fieldsType in managed fields entry {i}")
        if entry["fieldsType"] != "FieldsV1":
            raise ValueError(f"invalid fieldsType {quote(entry['fieldsType'])} in managed fields entry {i}")
        me = (entry.get("manager", ""), entry["operation"], entry["apiVersion"], entry.get("subresource", ""))
        result[identity(entry)] = make(me, entry.get("time", ""), canonical(entry.get("fieldsV1") or {}))
    return in_order(list(result.values()))


def make(me: Identity, time: str, fields: Set) -> Entry:
    manager, operation, api_version, subresource = me
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        **({"time": time} if time else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **({"subresource": subresource} if subresource else {}),
    }


def identity(entry: Entry) -> Identity:
    """What tells entries apart; an applier keeps its entry when it goes to another version."""
    operation = entry["operation"]
    version = "" if operation == "Apply" else entry["apiVersion"]
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def without(entries: Iterable[Entry], changed: Set, removed: Set, me: Identity) -> tuple[list[Entry], Entry | None]:
    """The others' entries less what they lose, and one's own less what went."""
    others: list[Entry] = []
    mine: Entry | None = None
    if me[1] == "Apply":
        me = (me[0], me[1], "", me[3])
    for entry in entries:
        own = identity(entry) == me
        fields = entry.get("fieldsV1", EMPTY)
        rest = difference(fields if own else difference(fields, changed), removed)
        if not rest:
            continue
        left = entry if rest is fields else {**entry, "fieldsV1": rest}
        if own:
            mine = left
        else:
            others.append(left)
    return others, mine


def in_order(entries: list[Entry]) -> list[Entry]:
    entries.sort(key=_rank)
    return entries


def _rank(entry: Entry) -> tuple[str, str, str, str, str]:
    return (
        entry["operation"],
        entry.get("time", ""),
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def capped(entries: list[Entry]) -> list[Entry]:
    """At most ten updaters are kept apart: the oldest are summed up as "ancient-changes", per version."""
    updaters = [entry for entry in entries if entry["operation"] == "Update"]
    surplus = len(updaters) - limits.MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return entries
    updaters.sort(key=lambda entry: (entry.get("time", ""), identity_text(identity(entry))))
    kept = {identity(entry): entry for entry in entries}
    first: dict[str, Identity] = {}
    for entry in updaters:
        version = entry["apiVersion"]
        bucket: Identity = ("ancient-changes", "Update", version, "")
        if version not in first:
            first[version] = identity(entry)
        elif surplus > 0 and identity(entry) != bucket:
            if bucket not in kept:
                kept[bucket] = kept.pop(first[version])
            fields = union(entry.get("fieldsV1", EMPTY), kept[bucket].get("fieldsV1", EMPTY))
            del kept[identity(entry)]
            kept[bucket] = make(bucket, entry.get("time", ""), fields)
            surplus -= 1
    return list(kept.values())


def show_manager(who: Identity) -> str:
    manager, operation, api_version, subresource = who
    text = quote(manager) + (f" with subresource {quote(subresource)}" if subresource else "")
    return f"{text} using {api_version}" if operation == "Update" else text


def identity_text(who: Identity) -> str:
    """Upstream's manager identifier: managers are sorted by it."""
    names = ("manager", "operation", "apiVersion", "subresource")
    return orjson.dumps({name: part for name, part in zip(names, who, strict=True) if part}).decode()
