"""Tables: what `kubectl get` prints is made here, one row an object and one cell a column.

Stands for `pkg/printers/internalversion` and apiserver's default table convertor. Which columns a resource has was
read off a real server (data/table-columns.json); the functions that fill them stand in tables of their own, by group.
A resource that is in neither gets the default columns, Name and Created At; a custom resource those of its definition.
All columns are always sent: those of priority 1 are shown with `-o wide`.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from k8s_core.api import Object, schema
from k8s_core.api.resources import Resource
from k8s_core.apiserver.tables import core, custom, groups, pods, workloads
from k8s_core.apiserver.tables.cells import Column, created_at, name

_TABLES: Final[dict[str, tuple[Column, ...]]] = {**core.TABLE, **workloads.TABLE, **groups.TABLE}
_ROWS: Final = {"pods": pods.pod, "events": core.event, "events.events.k8s.io": core.event}
_DEFAULT: Final = ((name, created_at), (("Name", "string", "name", 0), ("Created At", "date", "", 0)))
_SCALES: Final = Resource("autoscaling", "v1", "scales", "Scale", "scale", True, ())
# Columns that are documented by the field they show.
_DOCUMENTED: Final = {"Name": "name", "Age": "creationTimestamp", "Created At": "creationTimestamp"}


def render(
    resource: Resource,
    objects: Sequence[Object],
    *,
    now: float,
    include: str = "Metadata",
    list_meta: Object | None = None,
) -> Object:
    """A meta.k8s.io/v1 Table of the objects; `include` is what each row carries: Metadata, Object or None."""
    if objects and objects[0].get("kind") == "Scale":
        resource = _SCALES
    if resource.kind == "FlowSchema":  # listed in the order in which they are tried
        objects = sorted(objects, key=lambda o: (o["spec"]["matchingPrecedence"], o["metadata"]["name"]))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta or {},
        "columnDefinitions": columns_for(resource),
        "rows": [_row(resource, obj, now, include) for obj in objects],
    }


@functools.lru_cache(maxsize=512)
def columns_for(resource: Resource) -> list[Object]:
    """The definitions of a resource's columns; never to be changed."""
    columns = _facts().get(f"{resource.api_version}/{resource.name}", _DEFAULT[1])
    if resource.custom:
        return custom.columns(resource.custom)
    meta = schema.load().type("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").fields
    return [
        {
            "name": title,
            "type": type,
            "format": format,
            "description": meta[_DOCUMENTED[title]].doc if title in _DOCUMENTED else "",
            "priority": priority,
        }
        for title, type, format, priority in columns
    ]


def cells(resource: Resource, obj: Object, now: float) -> list[Any]:
    """One object's cells, in the order of its columns."""
    row = _ROWS.get(resource.group_resource)
    if row:
        return row(obj, now)
    if resource.custom:
        return custom.cells(resource.custom, obj, now)
    return [column(obj, now) for column in _TABLES.get(resource.group_resource, _DEFAULT[0])]


def _row(resource: Resource, obj: Object, now: float, include: str) -> Object:
    row: Object = {"cells": cells(resource, obj, now)}
    if resource.group_resource == "pods" and (conditions := pods.conditions(obj)):
        row["conditions"] = conditions
    if include == "Metadata":
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    else:
        row["object"] = obj if include == "Object" else None
    return row


@functools.cache
def _facts() -> dict[str, Any]:
    text = (Path(__file__).parents[1] / "data" / "table-columns.json").read_bytes()
    facts: dict[str, Any] = orjson.loads(text)
    return facts
