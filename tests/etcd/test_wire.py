"""What the door does beside answering: limits, slow clients, a full disk, many writers, names in certificates."""

import queue
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aetcd.rpc import auth_pb2, rpc_pb2
from servers import Client

from k8s_core.clock import Loop
from k8s_core.etcd import wire as door
from k8s_core.etcd.front import Listen
from k8s_core.etcd.service import Options, Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.wal import Durable
from k8s_core.etcd.watching import WatchStream
from k8s_core.etcd.wire import Wire, tls_context
from k8s_core.limits import ETCD_MAX_REQUEST_BYTES
from k8s_core.pki import PKI


def service(**options: Any) -> Service:
    loop = Loop()
    return Service(Store(loop), loop, options=Options(**options))


def put(key: bytes, value: bytes = b"x") -> Any:
    return rpc_pb2.PutRequest(key=key, value=value)


@contextmanager
def serving(one: Service) -> Iterator[Client]:
    wire = Wire(one)
    client = Client(wire.url.removeprefix("http://"))
    try:
        yield client
    finally:
        client.close()
        wire.close()


def test_values_up_to_the_limit_and_no_larger() -> None:
    """1.5 MiB with what etcd's log puts around it; above it etcd's words; far above it gRPC's."""
    with serving(service()) as client:
        assert client.call("Put", put(b"k", b"x" * (ETCD_MAX_REQUEST_BYTES - 24))).header.revision == 2
        refused = ("INVALID_ARGUMENT", "etcdserver: request is too large")
        assert client.call("Put", put(b"k", b"x" * (ETCD_MAX_REQUEST_BYTES - 23))) == refused
        assert client.call("Put", put(b"k", b"x" * 2 * 1024 * 1024))[0] == "RESOURCE_EXHAUSTED"
        assert len(client.call("Range", rpc_pb2.RangeRequest(key=b"k")).kvs[0].value) == ETCD_MAX_REQUEST_BYTES - 24


def test_a_full_database_sounds_the_alarm() -> None:
    """Above the quota nothing is put until the alarm is disarmed; deleting, compacting and reading go on."""
    one = service(quota_backend_bytes=10_000)
    for _ in range(9):
        one.call("put", put(b"k", b"x" * 1000))
    with pytest.raises(EtcdError, match="etcdserver: mvcc: database space exceeded"):
        one.call("put", put(b"k", b"x" * 1000))
    with pytest.raises(EtcdError, match="database space exceeded"):
        one.call("put", put(b"k"))
    (alarm,) = one.call("alarm", rpc_pb2.AlarmRequest()).alarms
    before = one.call("status", rpc_pb2.StatusRequest())
    one.call("compact", rpc_pb2.CompactionRequest(revision=one.store.revision))
    one.call("defragment", rpc_pb2.DefragmentRequest())
    after = one.call("status", rpc_pb2.StatusRequest())
    assert before.errors and after.dbSize <= before.dbSize and one.store.size < 2_000
    one.call("alarm", rpc_pb2.AlarmRequest(action=2, memberID=alarm.memberID, alarm=alarm.alarm))
    assert one.call("put", put(b"k")).header.revision == 11


def test_a_slow_client_costs_no_memory_and_misses_nothing() -> None:
    """While it takes nothing its watches fall behind; then they are filled up in order, or cancelled if compacted."""
    one, full, seen = service(), [False], list[Any]()
    stream = WatchStream(one, seen.append, full=lambda: full[0])
    create = rpc_pb2.WatchCreateRequest(key=b"\0", range_end=b"\0")
    stream.receive(rpc_pb2.WatchRequest(create_request=create))
    one.call("put", put(b"a"))
    full[0] = True
    for number in range(50):
        one.call("put", put(b"b%02d" % number))
    stream.receive(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
    assert len(seen) == 2
    full[0] = False
    stream.resume()
    one.call("put", put(b"c"))
    told = [event.kv.mod_revision for response in seen for event in response.events]
    assert told == list(range(2, 54)) and [r.watch_id for r in seen].index(-1) == len(seen) - 2
    full[0] = True
    one.call("put", put(b"d"))
    one.call("put", put(b"d"))
    one.call("compact", rpc_pb2.CompactionRequest(revision=one.store.revision))
    full[0] = False
    stream.resume()
    assert seen[-1].canceled and seen[-1].compact_revision == one.store.revision


def test_a_client_that_does_not_read_is_filled_up_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the wire: more waits for it than may, and in the end it has been told every revision once."""
    monkeypatch.setattr(door, "ETCD_MAX_UNSENT", 100_000)
    with serving(service()) as client:
        requests: queue.Queue[Any] = queue.Queue()
        create = rpc_pb2.WatchCreateRequest(key=b"\0", range_end=b"\0")
        requests.put(rpc_pb2.WatchRequest(create_request=create))
        stream = client.watches.Watch(iter(requests.get, None), timeout=60)
        assert next(stream).created
        for _ in range(120):
            client.call("Put", put(b"k", b"x" * 10_000))
        told: list[int] = []
        while len(told) < 120:
            told += [event.kv.mod_revision for event in next(stream).events]
        assert told == list(range(2, 122))
        requests.put(None)
        stream.cancel()


def test_many_writers_share_the_way_to_the_disk(tmp_path: Path) -> None:
    """Thirty writers at once: each gets an answer of its own, and after a restart everything is there."""
    one = service()
    durable = Durable(one, tmp_path)
    with serving(one) as client:
        revisions: list[int] = []

        def write(name: int) -> None:
            revisions.extend(client.call("Put", put(b"w%d.%d" % (name, n))).header.revision for n in range(10))

        threads = [threading.Thread(target=write, args=(name,)) for name in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(revisions) == list(range(2, 302))
    durable.close()
    again = service()
    Durable(again, tmp_path).close()
    assert list(again.store.live()) == list(one.store.live())


def test_what_the_disk_does_not_take_is_refused_and_forgotten(tmp_path: Path) -> None:
    """A full disk: the write fails and leaves no trace in the log; the next one, with room again, is kept."""
    one = service()
    durable = Durable(one, tmp_path)

    answers: list[Any] = []
    durable.add("put", put(b"lost"), answers.append)
    durable.write()
    assert durable.settle(OSError(28, "No space left on device")) is False
    assert isinstance(answers[0], EtcdError) and one.store.revision == 1
    one.call("put", put(b"kept"))
    durable.close()
    again = service()
    Durable(again, tmp_path).close()
    assert [kv.key for kv in again.store.live()] == [b"kept"]


def test_a_write_that_waits_comes_before_what_is_decided_meanwhile(tmp_path: Path) -> None:
    """A lease that ends while writes are on their way to the disk does not overtake them in the log."""
    one = service()
    durable = Durable(one, tmp_path)
    one.call("lease_grant", rpc_pb2.LeaseGrantRequest(ID=5, TTL=10))
    answers: list[Any] = []
    for key in (b"written", b"added"):
        durable.add("put", rpc_pb2.PutRequest(key=key, lease=5), answers.append)
        if key == b"written":
            durable.write()
    one.loop.advance(11)
    assert len(answers) == 2 and not one.store.leases and list(one.store.live()) == []
    durable.close()
    again = service()
    Durable(again, tmp_path).close()
    assert list(again.store.kept()) == list(one.store.kept())


def test_a_certificate_says_who_one_is(tmp_path: Path) -> None:
    """With users and client certificates the common name is the user; a token, if there is one, counts more."""
    PKI(0).write(tmp_path, "https://10.0.0.4:6443")
    pki = tmp_path / "pki/etcd"
    one = service()
    for method, request in (
        ("user_add", rpc_pb2.AuthUserAddRequest(name="root", password="p")),
        ("user_grant_role", rpc_pb2.AuthUserGrantRoleRequest(user="root", role="root")),
        ("user_add", rpc_pb2.AuthUserAddRequest(name="kube-etcd-healthcheck-client", password="x")),
        ("role_add", rpc_pb2.AuthRoleAddRequest(name="health")),
        ("user_grant_role", rpc_pb2.AuthUserGrantRoleRequest(user="kube-etcd-healthcheck-client", role="health")),
        (
            "role_grant_permission",
            rpc_pb2.AuthRoleGrantPermissionRequest(name="health", perm=auth_pb2.Permission(permType=2, key=b"health")),
        ),
        ("auth_enable", rpc_pb2.AuthEnableRequest()),
    ):
        one.call(method, request)
    tls = tls_context(pki / "server.crt", pki / "server.key", pki / "ca.crt", client_cert_auth=True)
    wire = Wire(one, Listen(tls=tls))
    names = ("ca.crt", "healthcheck-client.key", "healthcheck-client.crt")
    credentials = grpc.ssl_channel_credentials(*[(pki / name).read_bytes() for name in names])
    with grpc.secure_channel(wire.url.removeprefix("https://"), credentials) as channel:
        ask: Callable[..., bytes] = channel.unary_unary("/etcdserverpb.KV/Put")
        assert ask(put(b"health").SerializeToString(), timeout=20)
        with pytest.raises(grpc.RpcError, match="permission denied"):
            ask(put(b"other").SerializeToString(), timeout=20)
        token = one.call("authenticate", rpc_pb2.AuthenticateRequest(name="root", password="p")).token
        assert ask(put(b"other").SerializeToString(), timeout=20, metadata=[("token", token)])
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=20) == b"\x08\x01"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "healthcheck-client.crt", pki / "healthcheck-client.key")
    context.set_alpn_protocols(["h2", "http/1.1"])  # as curl does
    with urllib.request.urlopen(f"{wire.url}/health", context=context) as answer:
        assert answer.read() == b'{"health":"true","reason":""}'
    wire.close()
