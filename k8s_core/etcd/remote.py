"""A real etcd, by address, in the shape of a Store: what the apiserver uses with --etcd-servers.

A copy of all keys is kept by a watch, so that reads and watches need no round trip; writes go to etcd, and a write is
over when the watch has brought it back. Promises what the copy's owner needs: events in revision order, once each. When
the connection breaks it is made anew from the last revision seen; when that was compacted meanwhile, all keys are read
again and what differs is told as changes of the newest revision. Stands for apiserver storage/etcd3 and its client.
The past from before the start cannot be read. A thread reads the watch into a queue and touches nothing else; the
copy takes from it when somebody writes, and every tenth of a second of the loop's time.
"""

import contextlib
import queue
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from aetcd.rpc import rpc_pb2, rpc_pb2_grpc

from k8s_core.clock import Loop
from k8s_core.etcd.kv import from_pb, txn_to_pb
from k8s_core.etcd.store import Compare, EtcdError, Event, KeyValue, Lease, Op, Put, Store, TxnResult
from k8s_core.limits import ETCD_CLIENT_LOOK, ETCD_CLIENT_PAUSE, ETCD_CLIENT_TIMEOUT

COMPACT_KEY = b"compact_rev_key"
Files = tuple[Path | None, Path | None, Path | None]
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ALL = {"key": b"\0", "range_end": b"\0"}
Batch = tuple[int, list[Event] | None, list[KeyValue] | None]
"""A revision with its events, or with all keys there are."""


class RemoteStore(Store):
    """A copy of the etcd at `servers` ("http://127.0.0.1:2379", several with commas between). EtcdError without one.

    `files` are the CA, our certificate and its key for https. Every `compaction` seconds what is older than the last
    time is forgotten there, by one of all the apiservers that use it; 0 leaves that to others.
    """

    def __init__(self, loop: Loop, servers: str, files: Files = (None, None, None), compaction: float = 0):
        super().__init__(None)
        self._clock = loop
        self._channel = _channel(servers, files)
        self._kv, self._leasing = rpc_pb2_grpc.KVStub(self._channel), rpc_pb2_grpc.LeaseStub(self._channel)
        self._arrived: queue.Queue[Batch] = queue.Queue()
        self._closing = threading.Event()
        self._stream: Any = None
        found = self._ask(self._kv.Range, rpc_pb2.RangeRequest(**ALL))
        self.restore(found.header.revision, map(from_pb, found.kvs))
        self._timers = [loop.every(ETCD_CLIENT_LOOK, self._look)]
        self._turn, self._forgettable = 0, 0
        if compaction:
            self._timers.append(loop.every(compaction, self._forget))
        self._thread = threading.Thread(target=self._watch, name="etcd-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        for timer in self._timers:
            timer.cancel()
        if self._stream:
            self._stream.cancel()
        self._channel.close()
        self._thread.join()

    @staticmethod
    def _ask(method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=ETCD_CLIENT_TIMEOUT, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise EtcdError("UNAVAILABLE", "etcdserver: request timed out") from error
            raise EtcdError(error.code().name, error.details()) from error

    def confirm(self) -> None:
        """Take what the watch brings until the copy is as new as the etcd was when it was asked."""
        answer = self._ask(self._kv.Range, rpc_pb2.RangeRequest(key=b"health", count_only=True))
        self._catch_up(answer.header.revision)

    # --- writing --------------------------------------------------------------------------------------------
    def txn(self, compares: Iterable[Compare], success: Sequence[Op], failure: Sequence[Op] = ()) -> TxnResult:
        """As Store.txn, but without the responses of the single operations."""
        answer = self._ask(self._kv.Txn, txn_to_pb(compares, success, failure))
        self._catch_up(answer.header.revision)
        return TxnResult(answer.succeeded, answer.header.revision, [])

    def compact(self, revision: int) -> None:
        self._ask(self._kv.Compact, rpc_pb2.CompactionRequest(revision=revision))
        if revision > self.compact_revision:
            super().compact(revision)

    def _forget(self) -> None:
        """kube-apiserver's compactor: a key's version says whose turn it is; then the revision of last time goes."""
        request = txn_to_pb(
            [Compare(COMPACT_KEY, "version", "=", self._turn)], [Put(COMPACT_KEY, b"%d" % self.revision)], ()
        )
        request.failure.add(request_range=rpc_pb2.RangeRequest(key=COMPACT_KEY))
        try:
            answer = self._ask(self._kv.Txn, request)
            last, self._forgettable = self._forgettable, answer.header.revision
            if not answer.succeeded:
                self._turn = answer.responses[0].response_range.kvs[0].version
                return
            self._turn += 1
            if last > self.compact_revision:
                self.compact(last)
        except EtcdError as error:
            self._clock.log("kube-apiserver", f"compaction failed: {error}")

    def lease_grant(self, ttl: int, id: int = 0) -> Lease:
        answer = self._ask(self._leasing.LeaseGrant, rpc_pb2.LeaseGrantRequest(TTL=ttl, ID=id))
        lease = self.leases[answer.ID] = Lease(answer.ID, answer.TTL, self._clock.now)
        return lease

    def lease_revoke(self, id: int) -> None:
        self._ask(self._leasing.LeaseRevoke, rpc_pb2.LeaseRevokeRequest(ID=id))
        self.leases.pop(id, None)

    def _catch_up(self, revision: int) -> None:
        """Take what the watch brings until `revision` is there."""
        while self.revision < revision:
            try:
                self._take(self._arrived.get(timeout=ETCD_CLIENT_TIMEOUT))
            except queue.Empty:
                raise EtcdError("UNAVAILABLE", "etcdserver: request timed out") from None

    def _look(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._arrived.get_nowait())

    # --- the copy -------------------------------------------------------------------------------------------
    def _take(self, batch: Batch) -> None:
        """Bring the copy to a batch's revision."""
        revision, events, everything = batch
        if everything is not None:
            events = self._differences(revision, everything)
        fresh: list[Event] = []
        for event in events or ():
            kv = event.kv
            if kv.mod_revision <= self.revision:
                continue
            previous: KeyValue | None = self._current.get(kv.key)
            if event.type == "PUT":
                self._current[kv.key] = kv
            elif previous:
                del self._current[kv.key]
            else:
                continue
            self._record(kv)
            fresh.append(Event(event.type, kv, previous))
        self.revision = max(self.revision, revision)
        if fresh:
            self._log.extend(fresh)
            self._log_revisions.extend(event.kv.mod_revision for event in fresh)
            self.watchers.notify(fresh)

    def _watch(self) -> None:
        """The thread: watch, hand over, and begin again when it breaks."""
        seen = self.revision
        while not self._closing.is_set():
            with contextlib.suppress(grpc.RpcError, ValueError):
                seen = self._follow(seen)
            self._closing.wait(ETCD_CLIENT_PAUSE)

    def _follow(self, seen: int) -> int:
        create = rpc_pb2.WatchCreateRequest(**ALL, start_revision=seen + 1)
        requests: queue.Queue[Any] = queue.Queue()
        requests.put(rpc_pb2.WatchRequest(create_request=create))
        self._stream = rpc_pb2_grpc.WatchStub(self._channel).Watch(iter(requests.get, None), wait_for_ready=True)
        try:
            for response in self._stream:
                if response.compact_revision:
                    return self._read_again()
                for revision, events in _by_revision(response.events):
                    seen = revision
                    self._arrived.put((revision, events, None))
        except grpc.RpcError:
            return seen
        finally:
            requests.put(None)
        return seen

    def _read_again(self) -> int:
        """After a compaction that we missed: all keys as they are now."""
        found = self._ask(self._kv.Range, rpc_pb2.RangeRequest(**ALL))
        revision = int(found.header.revision)
        self._arrived.put((revision, None, [from_pb(kv) for kv in found.kvs]))
        return revision

    def _differences(self, revision: int, kvs: list[KeyValue]) -> list[Event]:
        """What leads from the copy to `kvs`, as changes of now."""
        now = {kv.key: kv for kv in kvs}
        gone = [key for key in self._current if key not in now]
        events = [Event("DELETE", KeyValue(key, b"", 0, revision, 0), None) for key in gone]
        changed = [kv for kv in kvs if self._current.get(kv.key) != kv]
        return events + [Event("PUT", kv, None) for kv in sorted(changed, key=lambda kv: kv.mod_revision)]


def _channel(servers: str, files: Files) -> grpc.Channel:
    """To the first of several addresses that answers; of several names to the first."""
    urls = [urlsplit(server if "//" in server else f"http://{server}") for server in servers.split(",")]
    numbers = all(re.fullmatch(r"[\d.]+", url.hostname or "") for url in urls)
    target = f"ipv4:{','.join(url.netloc for url in urls)}" if numbers else urls[0].netloc
    if urls[0].scheme != "https":
        return grpc.insecure_channel(target, options=OPTIONS)
    ca, certificate, key = (path.read_bytes() if path else None for path in files)
    named = [*OPTIONS, ("grpc.default_authority", urls[0].netloc)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(ca, key, certificate), options=named)


def _by_revision(events: Iterable[Any]) -> list[tuple[int, list[Event]]]:
    batches: list[tuple[int, list[Event]]] = []
    for event in events:
        kv = from_pb(event.kv)
        if not batches or batches[-1][0] != kv.mod_revision:
            batches.append((kv.mod_revision, []))
        batches[-1][1].append(Event("DELETE" if event.type else "PUT", kv, None))
    return batches
