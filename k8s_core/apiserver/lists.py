"""List and watch: which objects, from which revision, in which portions (apiserver handlers/get.go, cacher).

resourceVersion means what it means upstream: none is the latest, "0" any, N at least N; with a continue token or
resourceVersionMatch=Exact the past is read. A revision that etcd has compacted away is 410 Expired.
"""

import base64
from itertools import islice

import orjson

from k8s_core.api import Object, errors
from k8s_core.api.resources import Resource
from k8s_core.api.selectors import parse_fields, parse_labels
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import Request
from k8s_core.apiserver.watch import Filter, Sink, Watch
from k8s_core.etcd.store import EtcdError
from k8s_core.limits import BOOKMARK_PERIOD

TOO_OLD = "The resourceVersion for the provided list is too old."
INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
# Fields that a selector may name, beside metadata.name and metadata.namespace.
FIELDS: dict[str, set[str]] = {
    "pods": {
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    },
    "nodes": {"spec.unschedulable"},
    "namespaces": {"status.phase"},
    "secrets": {"type"},
    "services": {"spec.clusterIP", "spec.type"},
    "replicationcontrollers": {"status.replicas"},
    "replicasets.apps": {"status.replicas"},
    "jobs.batch": {"status.successful"},
    "certificatesigningrequests.certificates.k8s.io": {"spec.signerName"},
    "events": {
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    },
    "events.events.k8s.io": {
        "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
        "regarding.resourceVersion", "regarding.fieldPath", "reason", "reportingController", "type",
    },
}  # fmt: skip

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


def field_value(obj: Object, path: str) -> str:
    """What a field selector compares: the field as text, "" when it is not set."""
    if path == "source":  # events: the old component, or the new one's name
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent", ""))
    value: object = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(value)


def filter_of(request: Request) -> Filter:
    """The request's namespace, name and selectors; 400 when a selector cannot be read or names unknown fields."""
    resource = request.resource
    assert resource is not None
    try:
        labels = parse_labels(request.param("labelSelector"))
    except ValueError as error:
        raise errors.bad_request(
            f"unable to parse requirement: {error}" if "unable" not in str(error) else str(error)
        ) from error
    try:
        fields = parse_fields(request.param("fieldSelector"))
    except ValueError as error:
        raise errors.bad_request(str(error)) from error
    for path, _, _ in fields.requirements:
        known = path == "metadata.name" or (path == "metadata.namespace" and resource.namespaced)
        selectable = resource.custom.selectable if resource.custom else FIELDS.get(resource.group_resource, ())
        if not known and path not in selectable:
            raise errors.bad_request(f"field label not supported: {path}")
    namespace = request.namespace if resource.namespaced else ""
    return Filter(
        namespace,
        request.name,
        None if labels.empty else labels,
        fields if fields.requirements else None,
        field_value,
    )


def _token(revision: int, start: str) -> str:
    return (
        base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start + "\0"}))
        .decode()
        .rstrip("=")
    )


def _read_token(text: str) -> tuple[int, str]:
    try:
        token = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(token["rv"]), str(token["start"]).rstrip("\0")
    except (ValueError, KeyError, TypeError) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error


def key_in_prefix(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def list_objects(registry: Registry, request: Request) -> tuple[list[Object], Object]:
    """The objects a list request asks for, and the list's metadata (revision, continue, how many remain)."""
    resource = request.resource
    assert resource is not None
    wanted, storage = filter_of(request), registry.storage
    limit, after = max(request.number("limit") or 0, 0), ""
    asked, match = request.param("resourceVersion"), request.param("resourceVersionMatch")
    revision, now = 0, storage.revision
    _check_versions(asked, match, bool(request.param("continue")))
    if request.param("continue"):
        if asked and asked != "0":
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        revision, after = _read_token(request.param("continue"))
        # -1 is an inconsistent continue: go on from the key in the present
        revision = max(revision, 0)
    elif asked not in ("", "0"):
        if int(asked) > now:
            raise _too_large(int(asked), now)
        if match == "Exact" or (limit and match != "NotOlderThan"):
            revision = int(asked)
    try:
        found, count = storage.page(resource.storage, wanted.namespace, after=after, revision=revision)
    except EtcdError:  # compacted
        error = errors.expired(INCONSISTENT if after else TOO_OLD)
        if after:
            error.status["metadata"] = {"continue": _token(-1, after)}
        raise error from None
    everything = not (wanted.name or wanted.labels or wanted.fields)
    matching = found if everything else filter(wanted, found)
    meta: Object = {"resourceVersion": str(revision or now)}
    items = list(islice(matching, limit or None))
    if limit and len(items) == limit and (count > limit if everything else any(matching)):
        meta["continue"] = _token(revision or now, key_in_prefix(items[-1]))
        if everything:
            meta["remainingItemCount"] = count - limit
    return [registry._view(obj, resource) for obj in items], meta


def _check_versions(asked: str, match: str, continued: bool) -> None:
    if asked and not asked.isdigit():
        raise errors.bad_request(f'Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    if match and match not in ("Exact", "NotOlderThan"):
        raise errors.bad_request(
            f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        )
    if match and not asked:
        raise errors.bad_request(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match and continued:
        raise errors.bad_request(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
        )
    if match == "Exact" and asked == "0":
        raise errors.bad_request(
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        )


def _too_large(asked: int, now: int) -> errors.StatusError:
    error = errors.timeout(f"Too large resource version: {asked}, current: {now}", 1)
    error.status["details"] = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    return error


def start_watch(registry: Registry, request: Request, on_event: Sink, on_end: object) -> Watch:
    """Begin a watch as the request asks: from a revision, from now, or with what is there first."""
    resource = request.resource
    assert resource is not None and callable(on_end)
    wanted, storage, loop = filter_of(request), registry.storage, registry.loop
    asked = request.param("resourceVersion")
    if asked and not asked.isdigit():
        raise errors.bad_request(f'Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    sink = on_event
    if resource.custom or (resource.group, resource.version) != resource.stored_as:

        def sink(type: str, obj: Object) -> None:
            on_event(type, registry._view(obj, resource) if type in ("ADDED", "MODIFIED", "DELETED") else obj)

    cache = storage.cache(resource.storage)
    watch = Watch(cache.hub, loop, wanted, sink, on_end)
    watch.revision = storage.revision
    initial = request.param("sendInitialEvents")
    everything = request.flag("sendInitialEvents") if initial else asked in ("", "0")
    if not everything and asked not in ("", "0"):
        try:
            for change in storage.changes_since(resource.storage, int(asked)):
                watch.offer(change)
        except errors.StatusError as error:
            watch.push("ERROR", error.status)
            loop.call_soon(watch.end)
            return watch
    if everything:
        for obj in storage.select(resource.storage, wanted.namespace):
            if wanted(obj):
                watch.push("ADDED", obj)
        if initial and request.flag("allowWatchBookmarks"):
            watch.push("BOOKMARK", _bookmark(resource, storage.revision, {INITIAL_EVENTS_END: "true"}))
    cache.hub.add(watch)
    if request.flag("allowWatchBookmarks") and not request.in_process:
        _send_bookmarks(registry, resource, watch)
    seconds = request.number("timeoutSeconds")
    if seconds:
        loop.call_later(seconds, watch.end, background=True)
    return watch


def _bookmark(resource: Resource, revision: int, annotations: dict[str, str] | None = None) -> Object:
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        meta["annotations"] = annotations
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}


def _send_bookmarks(registry: Registry, resource: Resource, watch: Watch) -> None:
    def send() -> None:
        if not watch.active:
            timer.cancel()
        else:
            watch.push("BOOKMARK", _bookmark(resource, registry.storage.revision))

    timer = registry.loop.every(BOOKMARK_PERIOD, send)
