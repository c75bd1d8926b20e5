"""Events as client-go records them: an event that happens again is counted, not written anew.

Left out: the spam filter, the grouping of similar events (issue of more than ten messages for one object), and the
delay with which a series of new-style events is written.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found

if TYPE_CHECKING:
    from k8s_core.client.client import Client

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


class Recorder:
    """Writes events in the name of `component` (on `host`). New style is the events.k8s.io API of the scheduler."""

    def __init__(self, client: "Client", component: str, host: str = "", *, new_style: bool = False):
        self.client, self.component, self.host, self.new_style = client, component, host, new_style
        self._seen: dict[tuple[str, ...], tuple[str, str, int]] = {}

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
        namespace = involved.get("namespace") or "default"
        known = self._seen.get(key)
        if known:
            name, where, count = known
            try:
                change: Object = {"count": count + 1, "lastTimestamp": loop.timestamp()}
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
        if len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = (name, namespace, 1)
