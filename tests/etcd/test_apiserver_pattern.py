"""What a kube-apiserver asks of its etcd, through the wire, the real etcd beside ours: both give the same answers.

The requests are those of storage/etcd3 (create, update, delete, lists in pages, counts, watches), its compactor,
lease manager, health checks and size monitor, and of the Go client below them.
"""

import queue
import sys
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from aetcd.rpc import rpc_pb2
from differential import plain
from servers import Client, our_etcd, real_etcd

PODS = {"key": b"/registry/pods/", "range_end": b"/registry/pods0"}
LEADER = [("hasleader", "true"), ("client-api-version", "3.6.5")]  # clientv3.WithRequireLeader
PINGS = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_permit_without_calls", 1)]  # the apiserver's
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
OWN = ("version", "dbSize", "dbSizeInUse", "leader", "raftIndex", "raftAppliedIndex", "raftTerm", "hash")


def bare(answer: Any) -> Any:
    """An answer without what is a member's own."""
    if isinstance(answer, tuple):
        return answer
    copy = plain(answer) if "header" in answer.DESCRIPTOR.fields_by_name else answer
    copy.header.raft_term = 0
    for field in OWN:
        if field in copy.DESCRIPTOR.fields_by_name:
            copy.ClearField(field)
    return copy


class Both:
    """The real etcd and ours, asked the same things one after another."""

    def __init__(self, addresses: list[str]) -> None:
        self.clients = [Client(address, [*PINGS, *UNLIMITED]) for address in addresses]

    def call(self, method: str, request: Any) -> Any:
        """Our answer, once it is known to be the real one's."""
        ours, *theirs = [client.call(method, request) for client in self.clients]
        for real in theirs:
            assert bare(ours) == bare(real), f"{method} {request}\nours: {ours}\nreal: {real}"
        return ours

    def put(self, key: bytes, value: bytes = b"x", lease: int = 0) -> int:
        return int(self.call("Put", rpc_pb2.PutRequest(key=key, value=value, lease=lease)).header.revision)

    def get(self, **request: Any) -> Any:
        return self.call("Range", rpc_pb2.RangeRequest(**request))

    def watch(self, **request: Any) -> "Watch":
        return Watch([client.watches for client in self.clients], rpc_pb2.WatchCreateRequest(**request))


class Watch:
    """A watch on both."""

    def __init__(self, stubs: list[Any], create: Any) -> None:
        self.queues: list[queue.Queue[Any]] = [queue.Queue() for _ in stubs]
        self.streams = [
            stub.Watch(iter(asked.get, None), metadata=LEADER, timeout=60)
            for stub, asked in zip(stubs, self.queues, strict=True)
        ]
        self.send(create_request=create)

    def send(self, **request: Any) -> None:
        for asked in self.queues:
            asked.put(rpc_pb2.WatchRequest(**request))

    def next(self) -> Any:
        ours, *theirs = [next(stream) for stream in self.streams]
        for real in theirs:
            assert bare(ours) == bare(real), f"ours: {ours}\nreal: {real}"
        return ours

    def events(self, count: int) -> list[Any]:
        """The next events, however many come in one answer."""
        found: list[list[Any]] = []
        for stream in self.streams:
            seen: list[Any] = []
            while len(seen) < count:
                seen += next(stream).events
            found.append(seen)
        assert all(each == found[0] for each in found)
        return found[0]

    def close(self) -> None:
        for asked, stream in zip(self.queues, self.streams, strict=True):
            asked.put(None)
            stream.cancel()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with our_etcd() as ours:
        if sys.platform != "linux":  # the real etcd comes as a Linux package
            yield Both([ours])
            return
        with real_etcd(tmp_path_factory.mktemp("etcd")) as real:
            found = Both([ours, real])
            yield found
            for client in found.clients:
                client.close()


def guarded(key: bytes, revision: int, op: Any, *, read: bool = True) -> Any:
    """A write if the key is still at `revision`, else a read: every create, update and delete of the apiserver."""
    compare = rpc_pb2.Compare(key=key, target=2, result=0, mod_revision=revision)
    other = [rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))] if read else []
    return rpc_pb2.TxnRequest(compare=[compare], success=[op], failure=other)


def put(key: bytes, value: bytes, lease: int = 0) -> Any:
    return rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=value, lease=lease))


def delete(key: bytes) -> Any:
    return rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))


def test_create_update_conflict_delete(both: Both) -> None:
    """A create of what is there and an update of what has changed read the present instead of writing."""
    key = b"/registry/pods/default/web"
    made = both.call("Txn", guarded(key, 0, put(key, b"1"), read=False))
    assert made.succeeded
    assert not both.call("Txn", guarded(key, 0, put(key, b"2"), read=False)).responses
    first = made.header.revision
    late = both.call("Txn", guarded(key, first - 1, put(key, b"2")))
    assert not late.succeeded and late.responses[0].response_range.kvs[0].mod_revision == first
    assert both.call("Txn", guarded(key, first, put(key, b"3"))).succeeded
    assert not both.call("Txn", guarded(key, first, delete(key))).succeeded
    gone = both.call("Txn", guarded(key, first + 1, delete(key)))
    assert gone.responses[0].response_delete_range.deleted == 1
    assert not both.call("Txn", guarded(key, first + 1, delete(key))).responses[0].response_range.kvs


def test_a_list_in_pages_is_one_moment(both: Both) -> None:
    """The first page says how many there are; the others go on at its revision, whatever is written meanwhile."""
    for number in range(25):
        both.put(b"/registry/pods/default/p%02d" % number)
    first = both.get(**PODS, limit=10)
    assert first.more and first.count == 25 and len(first.kvs) == 10
    assert both.get(**PODS, count_only=True).count == 25
    both.call("DeleteRange", rpc_pb2.DeleteRangeRequest(**PODS))
    seen, page, at = [kv.key for kv in first.kvs], first, first.header.revision
    while page.more:
        page = both.get(key=seen[-1] + b"\0", range_end=PODS["range_end"], limit=10, revision=at)
        seen += [kv.key for kv in page.kvs]
    assert seen == [b"/registry/pods/default/p%02d" % number for number in range(25)]
    assert both.get(**PODS, count_only=True).count == 0
    assert both.get(**PODS, revision=at, count_only=True).count == 25
    assert not both.get(**PODS, revision=at, keys_only=True, limit=3).kvs[0].value
    assert both.get(**PODS, revision=at + 1000) == (
        "OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision"
    )  # fmt: skip


def test_a_watch_cache_with_bookmarks(both: Both) -> None:
    """Watches ask for a leader, previous values and progress, and are told a revision that they have caught up with."""
    start = both.put(b"/registry/nodes/n")
    watch = both.watch(**PODS, start_revision=start + 1, prev_kv=True, progress_notify=True)
    assert watch.next().created
    key = b"/registry/pods/default/web"
    for value in (b"1", b"2"):
        both.put(key, value)
    both.call("Txn", guarded(key, start + 2, delete(key)))
    last = both.put(b"/registry/nodes/n")
    made, changed, gone = watch.events(3)
    assert not made.HasField("prev_kv") and changed.prev_kv.value == b"1"
    assert gone.type == 1 and gone.prev_kv.value == b"2" and gone.kv.mod_revision == last - 1
    watch.send(progress_request=rpc_pb2.WatchProgressRequest())
    progress = watch.next()
    assert progress.watch_id == -1 and not progress.events and progress.header.revision == last
    watch.close()


def test_many_watches_in_one_stream(both: Both) -> None:
    """One for every resource, as the Go client sends them; each is told its own, and one that is cancelled no more."""
    watch = both.watch(key=b"/registry/r0/", range_end=b"/registry/r00")
    for number in range(1, 100):
        create = rpc_pb2.WatchCreateRequest(key=b"/registry/r%d/" % number, range_end=b"/registry/r%d0" % number)
        watch.send(create_request=create)
    assert [watch.next().watch_id for _ in range(100)] == list(range(100))
    both.put(b"/registry/r42/x")
    told = watch.next()
    assert told.watch_id == 42 and told.events[0].kv.key == b"/registry/r42/x"
    watch.send(cancel_request=rpc_pb2.WatchCancelRequest(watch_id=42))
    assert watch.next().canceled
    for number in (42, 43):
        both.put(b"/registry/r%d/y" % number)
    assert watch.next().watch_id == 43
    watch.close()


def test_the_compactor_and_the_watch_that_comes_too_late(both: Both) -> None:
    """One of several apiservers wins the key compact_rev_key and compacts; who is behind must read everything anew."""
    key = b"compact_rev_key"
    compare = rpc_pb2.Compare(key=key, target=0, result=0, version=0)
    read = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))
    take = rpc_pb2.TxnRequest(compare=[compare], success=[put(key, b"0")], failure=[read])
    assert both.call("Txn", take).succeeded
    assert both.call("Txn", take).responses[0].response_range.kvs[0].version == 1
    watch = both.watch(key=key)
    assert watch.next().created
    old = both.put(b"/registry/pods/default/a")
    revision = both.put(b"/registry/pods/default/a")
    both.call("Compact", rpc_pb2.CompactionRequest(revision=revision))
    assert both.call("Compact", rpc_pb2.CompactionRequest(revision=revision))[0] == "OUT_OF_RANGE"
    late = ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
    assert both.get(**PODS, revision=old, limit=500) == late
    assert len(both.get(**PODS, revision=revision).kvs) == 1
    watch.close()
    behind = both.watch(**PODS, start_revision=old)
    assert behind.next().created
    cancelled = behind.next()
    assert cancelled.canceled and cancelled.compact_revision == revision
    behind.close()


def test_events_hang_on_a_lease_that_is_used_again(both: Both) -> None:
    """Ids are the server's to give; several events share one lease, and end with it."""
    for client in both.clients:
        granted = client.call("LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=3660))
        assert granted.ID > 0 and granted.TTL == 3660
        client.call("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=granted.ID))
    both.call("LeaseGrant", rpc_pb2.LeaseGrantRequest(ID=7, TTL=3660))
    for number in range(3):
        key = b"/registry/events/default/e%d" % number
        assert both.call("Txn", guarded(key, 0, put(key, b"e", 7))).succeeded
    assert len(both.call("LeaseTimeToLive", rpc_pb2.LeaseTimeToLiveRequest(ID=7, keys=True)).keys) == 3
    both.call("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=7))
    assert both.get(key=b"/registry/events/", range_end=b"/registry/events0", count_only=True).count == 0
    key = b"/registry/events/default/late"
    assert both.call("Txn", guarded(key, 0, put(key, b"e", 7)))[0] == "NOT_FOUND"  # the manager then takes a new one


def test_what_it_asks_about_the_server(both: Both) -> None:
    """Health, size and version: the version decides on progress requests; what etcd has not is UNIMPLEMENTED."""
    both.get(key=b"/registry/health")
    both.get(key=b"health", serializable=True)
    both.call("Alarm", rpc_pb2.AlarmRequest())
    both.call("Status", rpc_pb2.StatusRequest())
    both.call("HashKV", rpc_pb2.HashKVRequest())
    status = both.clients[0].call("Status", rpc_pb2.StatusRequest())
    assert tuple(map(int, status.version.split("."))) >= (3, 5, 13) and status.dbSize > 0 and status.leader
    for client in both.clients:
        assert client.channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20) == b"\x08\x01"
        for path in ("/etcdserverpb.KV/RangeStream", "/no.Service/At", "/grpc.health.v1.Health/List"):
            with pytest.raises(grpc.RpcError) as refused:
                client.channel.unary_unary(path)(b"", timeout=20)
            assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_answers_may_be_large_and_requests_may_not(both: Both) -> None:
    """A list of 12 MiB comes in one piece; a write of over 1.5 MiB is refused, in etcd's words or in gRPC's."""
    for number in range(12):
        both.put(b"/registry/big/%02d" % number, b"x" * 1024 * 1024)
    span = {"key": b"/registry/big/", "range_end": b"/registry/big0"}
    assert sum(len(kv.value) for kv in both.get(**span).kvs) == 12 * 1024 * 1024
    key = b"/registry/big/12"
    assert both.call("Txn", guarded(key, 0, put(key, b"x" * 1_600_000))) == (
        "INVALID_ARGUMENT", "etcdserver: request is too large"
    )  # fmt: skip
    told = [client.call("Txn", guarded(key, 0, put(key, b"x" * 2_200_000))) for client in both.clients]
    assert {code for code, _ in told} == {"RESOURCE_EXHAUSTED"}
    start = both.get(key=b"x").header.revision - 11
    watch = both.watch(**span, start_revision=start, fragment=True)
    assert watch.next().created
    assert len(watch.events(12)) == 12
    watch.close()
    both.call("DeleteRange", rpc_pb2.DeleteRangeRequest(**span))


def test_hundreds_of_requests_at_once_on_one_connection(both: Both) -> None:
    """As many streams as the client opens, compressed or not; each has its own answer."""
    for client in both.clients:
        ask: Callable[..., Any] = client.channel.unary_unary("/etcdserverpb.KV/Put").future
        asked = [
            ask(
                rpc_pb2.PutRequest(key=b"many/%03d" % n, value=b"x" * 2000).SerializeToString(),
                timeout=60,
                compression=grpc.Compression.Gzip if n % 2 and client is both.clients[0] else None,
            )
            for n in range(300)
        ]
        revisions = [rpc_pb2.PutResponse.FromString(answer.result()).header.revision for answer in asked]
        assert len(set(revisions)) == 300
    assert both.get(key=b"many/", range_end=b"many0", count_only=True).count == 300
