"""What a kube-apiserver asks of its etcd (storage/etcd3, its compactor, its health check), through the wire."""

import queue
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from aetcd.rpc import rpc_pb2
from servers import Client

from k8s_core.clock import Loop
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Store
from k8s_core.etcd.wire import Wire

PREFIX, END = b"/registry/pods/", b"/registry/pods0"


@pytest.fixture
def client() -> Iterator[Client]:
    loop = Loop()
    wire = Wire(Service(Store(loop), loop))
    found = Client(wire.url.removeprefix("http://"))
    yield found
    found.close()
    wire.close()


def guarded(key: bytes, revision: int, **op: Any) -> Any:
    """A write if the key is still at `revision`, else a read: every create, update and delete of the apiserver."""
    compare = rpc_pb2.Compare(key=key, target=2, result=0, mod_revision=revision)
    read = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))
    return rpc_pb2.TxnRequest(compare=[compare], success=[rpc_pb2.RequestOp(**op)], failure=[read])


def put(key: bytes, value: bytes, lease: int = 0) -> dict[str, Any]:
    return {"request_put": rpc_pb2.PutRequest(key=key, value=value, lease=lease)}


def test_create_update_conflict_delete(client: Client) -> None:
    """A create of what is there and an update of what has changed read the present instead of writing."""
    key = PREFIX + b"default/web"
    made = client.call("Txn", guarded(key, 0, **put(key, b"1")))
    assert made.succeeded and made.header.revision == 2
    again = client.call("Txn", guarded(key, 0, **put(key, b"2")))
    assert not again.succeeded and again.responses[0].response_range.kvs[0].value == b"1"
    assert client.call("Txn", guarded(key, 2, **put(key, b"3"))).succeeded
    gone = client.call("Txn", guarded(key, 3, request_delete_range=rpc_pb2.DeleteRangeRequest(key=key)))
    assert gone.responses[0].response_delete_range.deleted == 1


def test_a_list_in_pages_is_one_moment(client: Client) -> None:
    """The first page says how many there are; the others go on at its revision, whatever is written meanwhile."""
    for number in range(25):
        client.call("Put", rpc_pb2.PutRequest(key=PREFIX + b"default/p%02d" % number, value=b"x"))
    first = client.call("Range", rpc_pb2.RangeRequest(key=PREFIX, range_end=END, limit=10))
    assert first.more and first.count == 25 and len(first.kvs) == 10
    client.call("DeleteRange", rpc_pb2.DeleteRangeRequest(key=PREFIX, range_end=END))
    seen, response = [kv.key for kv in first.kvs], first
    while response.more:
        request = rpc_pb2.RangeRequest(key=seen[-1] + b"\0", range_end=END, limit=10, revision=first.header.revision)
        response = client.call("Range", request)
        seen += [kv.key for kv in response.kvs]
    assert seen == [PREFIX + b"default/p%02d" % number for number in range(25)]


def test_a_watch_cache_with_bookmarks(client: Client) -> None:
    """Watches ask for a leader, previous values and progress, and are told a revision that they have caught up with."""
    requests: queue.Queue[Any] = queue.Queue()
    create = rpc_pb2.WatchCreateRequest(key=PREFIX, range_end=END, start_revision=2, prev_kv=True, progress_notify=True)
    requests.put(rpc_pb2.WatchRequest(create_request=create))
    stream = client.watches.Watch(iter(requests.get, None), metadata=[("hasleader", "true")], timeout=30)
    assert next(stream).created
    key = PREFIX + b"default/web"
    client.call("Put", rpc_pb2.PutRequest(key=key, value=b"1"))
    client.call("Put", rpc_pb2.PutRequest(key=key, value=b"2"))
    client.call("Put", rpc_pb2.PutRequest(key=b"/registry/nodes/n", value=b"x"))
    events = [next(stream).events[0], next(stream).events[0]]
    assert not events[0].HasField("prev_kv") and events[1].prev_kv.value == b"1"
    requests.put(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
    progress = next(stream)
    assert progress.watch_id == -1 and not progress.events and progress.header.revision == 4
    requests.put(None)
    stream.cancel()


def test_the_compactor_and_events_leases(client: Client) -> None:
    """One of several apiservers wins the key compact_rev_key and compacts; events hang on a lease."""
    key = b"compact_rev_key"
    compare = rpc_pb2.Compare(key=key, target=0, result=0, version=0)
    take = rpc_pb2.TxnRequest(
        compare=[compare],
        success=[rpc_pb2.RequestOp(**put(key, b"0"))],
        failure=[rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))],
    )
    assert client.call("Txn", take).succeeded and not client.call("Txn", take).succeeded
    lease = client.call("LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=3660)).ID
    event = b"/registry/events/default/e"
    assert client.call("Txn", guarded(event, 0, **put(event, b"e", lease))).succeeded
    revision = client.call("Range", rpc_pb2.RangeRequest(key=event)).header.revision
    client.call("Compact", rpc_pb2.CompactionRequest(revision=revision))
    assert client.call("Range", rpc_pb2.RangeRequest(key=event, revision=1))[0] == "OUT_OF_RANGE"
    client.call("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=lease))
    assert client.call("Range", rpc_pb2.RangeRequest(key=event)).count == 0


def test_what_it_asks_about_the_server(client: Client) -> None:
    """The version decides on progress requests; the size is a metric; an unknown method is refused as gRPC does."""
    status = client.call("Status", rpc_pb2.StatusRequest())
    assert tuple(map(int, status.version.split("."))) >= (3, 5, 8) and status.dbSize > 0 and status.leader
    unknown = client.channel.unary_unary("/etcdserverpb.KV/RangeStream")
    with pytest.raises(grpc.RpcError) as refused:
        unknown(b"", timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]
