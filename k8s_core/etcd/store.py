"""The v3 key space of one etcd member: every revision of every key, as etcd's mvcc package keeps it.

Promises: a revision is one transaction, revisions only grow, a past revision can be read until it is compacted,
a watch sees every event once and in order. Keys and values are bytes. Knows nothing of Kubernetes, HTTP or gRPC.
Watchers are called inside the write that made the event, after it is applied.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from sortedcontainers import SortedDict

from k8s_core.clock import Loop
from k8s_core.etcd.leases import Lease, Lessor
from k8s_core.etcd.model import (
    NO_END,
    Compare,
    DeleteRange,
    EtcdError,
    Event,
    KeyValue,
    Op,
    Put,
    RangeResult,
    TxnResult,
    compacted,
    future_revision,
    lease_not_found,
    prefix_end,
    within,
)
from k8s_core.etcd.watchers import Watcher, Watchers

__all__ = [
    "NO_END",
    "Compare",
    "DeleteRange",
    "EtcdError",
    "Event",
    "KeyValue",
    "Lease",
    "Op",
    "Put",
    "RangeResult",
    "Store",
    "TxnResult",
    "Watcher",
    "Writer",
    "compacted",
    "future_revision",
    "lease_not_found",
    "prefix_end",
    "within",
]


OVERHEAD = 64
"""Bytes that a version takes beside its key and value, about."""


class Store(Lessor):
    """The key space. `loop` gives time to leases; without it leases never expire."""

    def __init__(self, loop: Loop | None = None):
        super().__init__(loop)
        self.revision = 1
        self._written = 1  # of the newest write, which is ahead of `revision` while a transaction is under way
        self.compact_revision = -1  # as in etcd, where one can compact at 0, once
        self.watchers = Watchers()
        self.size = 0
        """Bytes of all that is kept, past versions included."""
        self.replaced: list[Callable[[], None]] = []
        """Told when the store has become another state (`restore`): no watch tells of that."""
        self._current: SortedDict = SortedDict()  # key -> KeyValue, live keys only
        self._history: SortedDict = SortedDict()  # key -> list[KeyValue], oldest first, tombstones included
        self._log: list[Event] = []  # every event after the last compaction, in order
        self._log_revisions: list[int] = []

    def close(self) -> None:
        """Let go of what lies outside; a store in memory has nothing to let go of."""

    # --- reading --------------------------------------------------------------------------------------------
    def confirm(self) -> None:
        """Make sure that what is read next is the newest there is; EtcdError if nobody can say. One member knows."""

    def get(self, key: bytes) -> KeyValue | None:
        found: KeyValue | None = self._current.get(key)
        return found

    def range(self, key: bytes, range_end: bytes = b"", *, limit: int = 0, revision: int = 0) -> RangeResult:
        """Live keys in [key, range_end) in key order, as of `revision` (0: now). `count` ignores `limit`."""
        self.check_revision(revision)
        if not range_end:
            one = self._at(key, revision) if revision > 0 else self._current.get(key)
            kvs = [one] if one else []
            return RangeResult(kvs, len(kvs), False, self.revision)
        if 0 < revision < max(self.revision, self._written):
            history, kvs = self._history, []
            for each in self._keys(history, key, range_end):
                kv = history[each][-1]
                if kv.mod_revision > revision:
                    kv = self._at(each, revision)
                if kv and kv.version:
                    kvs.append(kv)
            count = len(kvs)
            kvs = kvs[:limit] if limit > 0 else kvs
        else:
            index = self._current
            first = index.bisect_left(key)
            last = len(index) if range_end == NO_END else index.bisect_left(range_end)
            count = max(last - first, 0)
            stop = min(last, first + limit) if limit > 0 else last
            kvs = [index[k] for k in index.islice(first, stop)] if count else []
        return RangeResult(kvs, count, len(kvs) < count, self.revision)

    @staticmethod
    def _keys(index: SortedDict, key: bytes, range_end: bytes) -> Iterator[bytes]:
        end = None if range_end == NO_END else range_end
        keys: Iterator[bytes] = index.irange(key, end, inclusive=(True, False))
        return keys

    def _at(self, key: bytes, revision: int) -> KeyValue | None:
        versions: list[KeyValue] = self._history.get(key, [])
        i = bisect_right(versions, revision, key=lambda kv: kv.mod_revision)
        return versions[i - 1] if i and versions[i - 1].version else None

    def events_since(self, revision: int) -> Iterator[Event]:
        """Every event with a revision of at least `revision`; raises if that is compacted away."""
        if revision < self.compact_revision:
            raise compacted()
        start = bisect_left(self._log_revisions, revision)
        return (self._log[i] for i in range(start, len(self._log)))

    # --- writing --------------------------------------------------------------------------------------------
    def put(self, key: bytes, value: bytes, lease: int = 0) -> KeyValue | None:
        """Write one key; returns what was there before."""
        (previous,) = self.txn((), (Put(key, value, lease),)).responses
        assert previous is None or isinstance(previous, KeyValue)
        return previous

    def delete_range(self, key: bytes, range_end: bytes = b"") -> list[KeyValue]:
        (deleted,) = self.txn((), (DeleteRange(key, range_end),)).responses
        assert isinstance(deleted, list)
        return deleted

    def txn(self, compares: Iterable[Compare], success: Sequence[Op], failure: Sequence[Op] = ()) -> TxnResult:
        """Run `success` if every compare holds, else `failure`, as one revision if anything is written."""
        succeeded = all(map(self._holds, compares))
        ops = success if succeeded else failure
        for op in ops:
            if isinstance(op, Put) and op.lease and op.lease not in self.leases:
                raise lease_not_found()
        responses: list[KeyValue | list[KeyValue] | None] = []
        with self.write() as txn:
            for op in ops:
                if isinstance(op, Put):
                    responses.append(txn.put(*op))
                else:
                    responses.append(txn.delete_range(*op))
        return TxnResult(succeeded, self.revision, responses)

    def write(self) -> "Writer":
        """A transaction, to be used in a `with` statement: all that it writes is one revision."""
        return Writer(self)

    def _holds(self, compare: Compare) -> bool:
        kv = self._current.get(compare.key) or KeyValue(compare.key, b"", 0, 0, 0)
        if compare.target == "value" and not kv.version:
            return False  # etcd: a missing key has no value to compare, not an empty one
        names = {"create": "create_revision", "mod": "mod_revision"}
        have = getattr(kv, names.get(compare.target, compare.target))
        want = compare.value
        return bool({"=": have == want, "!=": have != want, "<": have < want, ">": have > want}[compare.op])

    def delete_keys(self, keys: Iterable[bytes]) -> None:
        with self.write() as txn:
            for key in keys:
                txn.delete_range(key)

    def _commit(self, events: list[Event]) -> None:
        if not events:
            return
        self.revision += 1
        self._log.extend(events)
        self._log_revisions.extend([self.revision] * len(events))
        self.watchers.notify(events)

    def _put(self, op: Put, revision: int, events: list[Event]) -> KeyValue | None:
        previous: KeyValue | None = self._current.get(op.key)
        if previous:
            kv = KeyValue(op.key, op.value, previous.create_revision, revision, previous.version + 1, op.lease)
        else:
            kv = KeyValue(op.key, op.value, revision, revision, 1, op.lease)
        self._hang(op.key, previous.lease if previous else 0, op.lease)
        self._current[op.key] = kv
        self._record(kv)
        events.append(Event("PUT", kv, previous))
        return previous

    def _delete(self, op: DeleteRange, revision: int, events: list[Event]) -> list[KeyValue]:
        if op.range_end:
            doomed = [self._current[k] for k in self._keys(self._current, op.key, op.range_end)]
        else:
            doomed = [self._current[op.key]] if op.key in self._current else []
        for kv in doomed:
            del self._current[kv.key]
            self._hang(kv.key, kv.lease, 0)
            tombstone = KeyValue(kv.key, b"", 0, revision, 0)
            self._record(tombstone)
            events.append(Event("DELETE", tombstone, kv))
        return doomed

    def _record(self, kv: KeyValue) -> None:
        self._written = kv.mod_revision
        self.size += _weight(kv)
        versions = self._history.get(kv.key)
        if versions is None:
            self._history[kv.key] = [kv]
        else:
            versions.append(kv)

    # --- watching -------------------------------------------------------------------------------------------
    def watch(
        self,
        key: bytes,
        range_end: bytes,
        on_events: Callable[[list[Event]], None],
        *,
        start_revision: int = 0,
    ) -> Watcher:
        """Call `on_events` for every later change in [key, range_end), one call a revision.

        With a `start_revision` the past from there on comes first; EtcdError if it is compacted.
        """
        if start_revision:
            past = [event for event in self.events_since(start_revision) if within(event.kv.key, key, range_end)]
            for events in _by_revision(past):
                on_events(events)
        return self.watchers.add(key, range_end, on_events)

    # --- compaction -----------------------------------------------------------------------------------------
    def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted before `revision`; reads and watches below it fail."""
        if revision <= self.compact_revision:
            raise compacted()
        if revision > self.revision:
            raise future_revision()
        self.compact_revision = revision
        for key in list(self._history):
            versions: list[KeyValue] = self._history[key]
            keep = bisect_right(versions, revision, key=lambda kv: kv.mod_revision) - 1
            if keep >= 0 and not versions[keep].version:
                keep += 1  # the newest thing at that revision is a tombstone: nothing to read there
            self.size -= sum(map(_weight, versions[: max(keep, 0)]))
            if keep >= len(versions):
                del self._history[key]
            elif keep > 0:
                self._history[key] = versions[keep:]
        cut, kept = bisect_left(self._log_revisions, revision), bisect_right(self._log_revisions, revision)
        # what was deleted at that very revision leaves no trace either: its tombstone is gone
        puts = [event for event in self._log[cut:kept] if event.type == "PUT"]
        self._log[:kept], self._log_revisions[:kept] = puts, [revision] * len(puts)

    def check_revision(self, revision: int) -> None:
        """EtcdError if nothing can be read at `revision` (0 is the present)."""
        if revision > self.revision:
            raise future_revision()
        if 0 < revision < self.compact_revision:
            raise compacted()

    def hash(self, revision: int = 0) -> int:
        """A 32-bit digest of all that is kept up to a revision (0: now); equal on members that hold the same."""
        digest, last = hashlib.sha256(), revision or self.revision
        for versions in self._history.values():
            for kv in versions:
                if kv.mod_revision <= last:
                    digest.update(repr(kv).encode())
        return int.from_bytes(digest.digest()[:4], "big")

    def live(self) -> Iterator[KeyValue]:
        """Every live key, in order."""
        return iter(self._current.values())

    def kept(self) -> Iterator[KeyValue]:
        """Every version there is, tombstones included, in the order of writing: what `restore` takes."""
        yield from self.base()
        yield from (event.kv for event in self._log if event.kv.mod_revision > self.compact_revision)

    def base(self) -> list[KeyValue]:
        """What a compaction left of the time before it."""
        old = (kv for found in self._history.values() for kv in found if kv.mod_revision <= self.compact_revision)
        return sorted((kv for kv in old if kv.version), key=lambda kv: kv.mod_revision)

    def restore(
        self,
        revision: int,
        base: Iterable[KeyValue],
        leases: Iterable[tuple[int, int]] = (),
        compacted: int | None = None,
        log: Iterable[KeyValue] = (),
    ) -> None:
        """Become another state at `revision`: `base` is what was there at `compacted`, `log` what came after it."""
        self.revision, self.compact_revision = revision, revision if compacted is None else compacted
        self.forget_leases()
        for kept in (self._current, self._history, self._log, self._log_revisions):
            kept.clear()
        self.size = 0
        for id, ttl in leases:
            self.lease_grant(ttl, id)
        for kv in base:
            self._current[kv.key] = kv
            self._record(kv)
            if kv.mod_revision == self.compact_revision:
                self._log.append(Event("PUT", kv, None))
                self._log_revisions.append(kv.mod_revision)
        for kv in log:
            previous: KeyValue | None = self._current.get(kv.key)
            self._log.append(Event("PUT" if kv.version else "DELETE", kv, previous))
            self._log_revisions.append(kv.mod_revision)
            self._record(kv)
            if kv.version:
                self._current[kv.key] = kv
            else:
                self._current.pop(kv.key, None)
        for kv in self._current.values():
            self._hang(kv.key, 0, kv.lease)
        for tell in self.replaced:
            tell()


class Writer:
    """A write transaction under way (mvcc's TxnWrite): its reads see what it wrote. It cannot be undone."""

    def __init__(self, store: Store):
        self.store = store
        self.events: list[Event] = []

    @property
    def revision(self) -> int:
        """The revision that a read or write made now would report."""
        return self.store.revision + bool(self.events)

    def put(self, key: bytes, value: bytes, lease: int = 0) -> KeyValue | None:
        return self.store._put(Put(key, value, lease), self.store.revision + 1, self.events)

    def delete_range(self, key: bytes, range_end: bytes = b"") -> list[KeyValue]:
        return self.store._delete(DeleteRange(key, range_end), self.store.revision + 1, self.events)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.store._commit(self.events)


def _weight(kv: KeyValue) -> int:
    return len(kv.key) + len(kv.value) + OVERHEAD


def _by_revision(events: list[Event]) -> Iterator[list[Event]]:
    start = 0
    for i in range(1, len(events) + 1):
        if i == len(events) or events[i].kv.mod_revision != events[start].kv.mod_revision:
            yield events[start:i]
            start = i
