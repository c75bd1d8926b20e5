"""One watch stream of a client: many watches, created, filled from the past, cancelled; etcd's v3rpc/watch.go.

Promises what etcd promises: a watch's events come in revision order, once each, those of one revision together, and
from the asked revision on without a gap, or it is cancelled with the revision that compaction reached. `send` takes
WatchResponses; it is called inside the write that made the events.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.etcd.auth import READ
from k8s_core.etcd.kv import event_to_pb
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import NO_END, EtcdError, Event, Watcher, within
from k8s_core.limits import ETCD_WATCH_BATCH_REVISIONS

Message = Any
NO_WATCH = -1  # clientv3.InvalidWatchID
EVENT_TYPES = ("PUT", "DELETE")


@dataclass(eq=False, slots=True)
class Watch:
    request: Message
    start: int
    watcher: Watcher | None = None
    quiet: bool = True
    """Nothing was sent since the last progress report."""


class WatchStream:
    """What one client watches. `close` when it goes away.

    While `full` says that too much waits for it already, its watches fall behind; `resume` them when it is not.
    """

    def __init__(
        self,
        service: Service,
        send: Callable[[Message], None],
        user: Callable[[], str] = str,
        full: Callable[[], bool] = bool,
    ):
        self.service, self.store, self._send, self._user, self._full = service, service.store, send, user, full
        self.watches: dict[int, Watch] = {}
        self.behind: set[int] = set()
        """Watches that have not been told everything yet."""
        self._progress_wanted = False
        self._next = 0
        self._timer = service.loop.every(service.options.watch_progress_notify_interval, self._report_progress)

    def close(self) -> None:
        self._timer.cancel()
        for id in list(self.watches):
            self._drop(id)

    def receive(self, request: Message) -> None:
        """Act on one WatchRequest."""
        match request.WhichOneof("request_union"):
            case "create_request":
                self._create(request.create_request)
            case "cancel_request":
                id = request.cancel_request.watch_id
                if id in self.watches:
                    self._drop(id)
                    self._send(self._response(id, canceled=True))
            case "progress_request":
                self._progress_wanted = True
                self._answer_progress()

    def _create(self, request: Message) -> None:
        request.key = request.key or b"\0"
        id, start = request.watch_id, request.start_revision or self.store.revision + 1
        try:
            self.service.auth.check_range(self._user(), request.key, request.range_end, READ)
        except EtcdError:
            reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
            self._send(self._response(id, created=True, canceled=True, cancel_reason=reason))
            return
        reason = self._refusal(request)
        if reason:
            self._send(self._response(NO_WATCH, created=True, canceled=True, cancel_reason=reason))
            return
        if not id:
            while self._next in self.watches:
                self._next += 1
            id, self._next = self._next, self._next + 1
        self._send(self._response(id, created=True))
        watch = self.watches[id] = Watch(request, start)
        self._catch_up(id, watch)

    def _refusal(self, request: Message) -> str:
        if request.range_end not in (b"", NO_END) and request.key >= request.range_end:
            return "mvcc: watcher range is empty"
        if request.watch_id and request.watch_id in self.watches:
            return "mvcc: duplicate watch ID provided on the WatchStream"
        return ""

    def resume(self) -> None:
        """Go on with what was left behind."""
        for id in sorted(self.behind):
            self.behind.discard(id)
            self._catch_up(id, self.watches[id])
        self._answer_progress()

    def _answer_progress(self) -> None:
        """Once all watches have been told everything up to the revision that is reported."""
        if self._progress_wanted and not self.behind:
            self._progress_wanted = False
            self._send(self._response(NO_WATCH))

    def _catch_up(self, id: int, watch: Watch) -> None:
        """Send the past as far as the client takes it, then what comes."""
        if watch.start < self.store.compact_revision:  # dead, but its id stays taken until the client cancels it
            cancelled = self._response(id, canceled=True, compact_revision=self.store.compact_revision)
            cancelled.header.revision = 0
            self._send(cancelled)
            return
        if watch.start <= self.store.revision:
            for batch in self._past(watch):
                if self._full():
                    self._fall_behind(id, watch, batch)
                    return
                whole = len({event.kv.mod_revision for event in batch}) == ETCD_WATCH_BATCH_REVISIONS
                self._deliver(id, batch, batch[-1].kv.mod_revision if whole else None)
        key, end = watch.request.key, watch.request.range_end
        watch.watcher = self.store.watch(key, end, lambda events: self._live(id, watch, events))

    def _past(self, watch: Watch) -> Iterator[list[Event]]:
        """Events since `start`, at most ETCD_WATCH_BATCH_REVISIONS revisions at a time and never half a revision."""
        batch: list[Event] = []
        revisions = 0
        key, end = watch.request.key, watch.request.range_end
        for event in self.store.events_since(watch.start):
            if not within(event.kv.key, key, end):
                continue
            if not batch or batch[-1].kv.mod_revision != event.kv.mod_revision:
                if revisions == ETCD_WATCH_BATCH_REVISIONS:
                    yield batch
                    batch, revisions = [], 0
                revisions += 1
            batch.append(event)
        if batch:
            yield batch

    def _fall_behind(self, id: int, watch: Watch, events: list[Event]) -> None:
        if watch.watcher:
            watch.watcher.cancel()
            watch.watcher = None
        watch.start = max(watch.start, events[0].kv.mod_revision)
        self.behind.add(id)

    def _live(self, id: int, watch: Watch, events: list[Event]) -> None:
        if self._full():
            self._fall_behind(id, watch, events)
        else:
            self._deliver(id, events)

    def _deliver(self, id: int, events: list[Event], revision: int | None = None) -> None:
        watch = self.watches.get(id)
        if watch is None:
            return
        unwanted = {EVENT_TYPES[kind] for kind in watch.request.filters}
        wanted = [e for e in events if e.kv.mod_revision >= watch.start and e.type not in unwanted]
        if not wanted:
            return
        watch.quiet = False
        response = self._response(id, revision=revision)
        response.events.extend(self._event(event, watch.request.prev_kv) for event in wanted)
        if watch.request.fragment and response.ByteSize() >= self.service.options.max_request_bytes:
            self._send_fragments(response)
        else:
            self._send(response)

    def _event(self, event: Event, with_previous: bool) -> Message:
        """The event, with what the key held one revision before (nothing if that is compacted)."""
        revision = event.kv.mod_revision
        created = event.type == "PUT" and event.kv.create_revision == revision
        if not with_previous or created or revision - 1 < self.store.compact_revision:
            return event_to_pb(event)
        before = self.store.range(event.kv.key, revision=revision - 1).kvs
        return event_to_pb(event, before[0] if before else None)

    def _send_fragments(self, response: Message) -> None:
        events = list(response.events)
        while events:
            part = self._response(response.watch_id, revision=response.header.revision, fragment=True)
            size = part.ByteSize()
            taken = 0
            for event in events:
                size += event.ByteSize() + 6
                if taken and size >= self.service.options.max_request_bytes:
                    break
                taken += 1
            part.events.extend(events[:taken])
            events = events[taken:]
            part.fragment = bool(events)
            self._send(part)

    def _report_progress(self) -> None:
        for id, watch in self.watches.items():
            if watch.request.progress_notify and watch.quiet and id not in self.behind:
                self._send(self._response(id))
            watch.quiet = True

    def _drop(self, id: int) -> None:
        watch = self.watches.pop(id)
        self.behind.discard(id)
        if watch.watcher:
            watch.watcher.cancel()

    def _response(self, id: int, *, revision: int | None = None, **fields: Any) -> Message:
        return rpc_pb2.WatchResponse(header=self.service.header(revision), watch_id=id, **fields)
