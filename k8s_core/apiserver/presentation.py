"""How an answer looks to who asked: the object itself, a Table for kubectl, or metadata alone (handlers/response.go).

The Accept header decides. Watch frames go the same way, and their bytes are made once for all clients that asked
for the same form.
"""

from typing import NamedTuple

import orjson

from k8s_core.api import Object, errors
from k8s_core.apiserver import tables
from k8s_core.apiserver.request import Request
from k8s_core.apiserver.watch import Watch
from k8s_core.clock import Loop
from k8s_core.streams import Stream

ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


class Form(NamedTuple):
    """`as_` is "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"."""

    as_: str = ""
    include: str = "Metadata"
    version: str = "v1"


def negotiate(request: Request) -> Form:
    """The first form in the Accept header that this server can give; 406 if there is none."""
    accept = request.headers.get("accept", "")
    if not accept:
        return Form()
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(p.split("=", 1) for p in parameters if "=" in p)
        if media not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        as_ = options.get("as", "")
        if as_ and options.get("g") != "meta.k8s.io":
            continue
        if as_ not in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            continue
        return Form(as_, request.param("includeObject") or "Metadata", options.get("v", "v1"))
    raise errors.not_acceptable(
        "only the following media types are accepted: " + ", ".join([*ACCEPTED, "application/cbor"][:3])
    )


def partial(obj: Object) -> Object:
    """PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def one(request: Request, obj: Object, loop: Loop) -> Object:
    """One object in the form that was asked for. Status objects stay what they are."""
    form, resource = negotiate(request), request.resource
    if not form.as_ or resource is None or obj.get("kind") == "Status":
        return obj
    if form.as_ == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.render(resource, [obj], now=loop.now, include=form.include, list_meta=meta)
    return partial(obj)


def many(request: Request, objects: list[Object], meta: Object, loop: Loop) -> Object:
    """A list in the form that was asked for."""
    form, resource = negotiate(request), request.resource
    assert resource is not None
    if form.as_ == "Table":
        return tables.render(resource, objects, now=loop.now, include=form.include, list_meta=meta)
    if form.as_:
        items = [partial(obj) for obj in objects]
        return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
    bare = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in objects]
    kind = f"{resource.kind}List"
    if resource.custom:
        kind, bare = resource.custom.list_kind, objects
    return {"kind": kind, "apiVersion": resource.api_version, "metadata": meta, "items": bare}


class Frames:
    """Turns a watch's events into the frames of one client's stream."""

    def __init__(self, request: Request, loop: Loop, stream: Stream):
        assert request.resource is not None
        self.form, self.resource, self.loop, self.stream = negotiate(request), request.resource, loop, stream
        self.watch: Watch | None = None
        self._columns_sent = False

    def __call__(self, type: str, obj: Object) -> None:
        if type == "ERROR" or (not self.form.as_ and type == "BOOKMARK"):
            self.stream.send(_frame(type, obj))
            return
        change = self.watch.change if self.watch else None
        if self.form.as_ == "Table":  # ages differ from one moment to the next: never kept
            self.stream.send(_frame(type, self._table(obj, bookmark=type == "BOOKMARK")))
            return
        key = f"{type} {self.form.as_} {self.resource.api_version}"
        made = change.encoded.get(key) if change else None
        if made is None:
            made = _frame(type, partial(obj) if self.form.as_ else obj)
            if change:
                change.encoded[key] = made
        self.stream.send(made)

    def _table(self, obj: Object, *, bookmark: bool) -> Object:
        meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        table = tables.render(
            self.resource, [] if bookmark else [obj], now=self.loop.now, include=self.form.include, list_meta=meta
        )
        if bookmark:
            table["rows"] = [{"cells": [], "object": obj}]
        if self._columns_sent:
            table["columnDefinitions"] = None
        self._columns_sent = True
        return table


def _frame(type: str, obj: Object) -> bytes:
    return orjson.dumps({"type": type, "object": obj}) + b"\n"
