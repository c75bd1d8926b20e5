"""Events as client-go records them (tools/record): what happens again is counted, not written anew.

More than ten different messages for one reason become one event "(combined from similar events)", and who writes too
many about one object is silenced for a while. Left out: the delay with which a series of new-style events is written.
"""

from typing import TYPE_CHECKING, Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.clock import Loop
from k8s_core.limits import EVENT_BURST, EVENT_REFILL_SECONDS, EVENT_SIMILAR, EVENT_SIMILAR_SECONDS

if TYPE_CHECKING:
    from k8s_core.client.client import Client

OBJECT = ("kind", "namespace", "name", "uid", "apiVersion")
REMEMBERED = 4096  # events a recorder can count on to; client-go's maxLruCacheEntries


def reference(obj: Object) -> Object:
    """The ObjectReference of an object."""
    meta = obj["metadata"]
    found = {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "uid": meta.get("uid", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
    }
    return {key: value for key, value in found.items() if value}


class Correlator:
    """What becomes of an event before it is written (client-go's EventCorrelator)."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self._similar: dict[tuple[str, ...], tuple[float, dict[str, None]]] = {}
        self._buckets: dict[tuple[str, ...], tuple[float, float]] = {}

    def are_many(self, group: tuple[str, ...], message: str) -> bool:
        """Whether this is one of so many messages of its group that they are told as one."""
        last, messages = self._similar.pop(group, (0.0, {}))
        if self.loop.now - last > EVENT_SIMILAR_SECONDS:
            messages = {}
        messages[message] = None
        many = len(messages) >= EVENT_SIMILAR
        if many:
            del messages[next(iter(messages))]
        _remember(self._similar, group, (self.loop.now, messages))
        return many

    def is_spam(self, source: tuple[str, ...]) -> bool:
        """Whether this source has said enough about this object for now: a token bucket that fills slowly."""
        tokens, at = self._buckets.pop(source, (float(EVENT_BURST), self.loop.now))
        tokens = min(EVENT_BURST, tokens + (self.loop.now - at) / EVENT_REFILL_SECONDS)
        _remember(self._buckets, source, (tokens - 1 if tokens >= 1 else tokens, self.loop.now))
        return tokens < 1


def _remember(memory: dict[tuple[str, ...], Any], key: tuple[str, ...], value: Any) -> None:
    """Keep a value, and let go of the oldest when there are too many."""
    if len(memory) >= REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value


class Recorder:
    """Writes events in the name of `component` (on `host`). New style is the events.k8s.io API of the scheduler."""

    def __init__(self, client: "Client", component: str, host: str = "", *, new_style: bool = False):
        self.client, self.component, self.host, self.new_style = client, component, host, new_style
        self._seen: dict[tuple[str, ...], tuple[str, str, int]] = {}
        self.correlator = Correlator(client.loop)

    def event(
        self,
        obj: Object,
        type: str,
        reason: str,
        message: str,
        *,
        related: Object | None = None,
        action: str = "",
        field_path: str = "",
        annotations: dict[str, str] | None = None,
    ) -> None:
        """Record that something happened to `obj`; a failure to write it is logged, never raised."""
        involved = reference(obj)
        if field_path:
            involved["fieldPath"] = field_path
        try:
            self._write(involved, type, reason, message, related, action, annotations)
        except StatusError as error:
            self.client.loop.log(self.component, f"event {reason} of {involved.get('name')} not written: {error}")

    def _write(
        self,
        involved: Object,
        type: str,
        reason: str,
        message: str,
        related: Object | None,
        action: str,
        annotations: dict[str, str] | None,
    ) -> None:
        loop = self.client.loop
        key: tuple[str, ...] = (
            involved.get("uid", "") or involved["name"],
            involved.get("fieldPath", ""),
            type,
            reason,
            message,
        )
        if self.new_style:  # the words do not matter, the object's revision does
            other = (related or {}).get("metadata", {}).get("uid", "")
            key = (key[0], involved.get("resourceVersion", ""), type, reason, action, other)
        else:
            source = (self.component, self.host, *(involved.get(part, "") for part in OBJECT))
            group = (*source, type, reason)
            if self.correlator.are_many(group, message):
                key, message = group, f"(combined from similar events): {message}"
            if self.correlator.is_spam(source):
                return
        namespace = involved.get("namespace") or "default"
        known = self._seen.get(key)
        if known:
            name, where, count = known
            try:
                change: Object = {"count": count + 1, "lastTimestamp": loop.timestamp(), "message": message}
                if self.new_style:
                    change = {"series": {"count": count + 1, "lastObservedTime": loop.micro_timestamp()}}
                self.client.patch("events", name, where, change, kind="strategic")
                self._seen[key] = (name, where, count + 1)
                return
            except StatusError as error:
                if not is_not_found(error):
                    raise
        # client-go names an event after its object and the time in hexadecimal nanoseconds
        name = f"{involved['name']}.{int(loop.now * 1e6) * 1000 + len(self._seen) % 1000:x}{loop.suffix(2)}"
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": name,
                "namespace": namespace,
                **({"annotations": annotations} if annotations else {}),
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": type,
        }
        if self.new_style:
            event |= {
                "eventTime": loop.micro_timestamp(),
                "firstTimestamp": None,
                "lastTimestamp": None,
                "source": {},
                "action": action,
                "reportingComponent": self.component,
                "reportingInstance": f"{self.component}-{self.host or 'cp'}",
            }
            if related:
                event["related"] = reference(related)
        else:
            now = loop.timestamp()
            event |= {
                "eventTime": None,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "source": {"component": self.component, **({"host": self.host} if self.host else {})},
                "reportingComponent": self.component,
                "reportingInstance": self.host,
            }
        self.client.create("events", event, namespace)
        _remember(self._seen, key, (name, namespace, 1))
