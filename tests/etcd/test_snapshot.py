"""Snapshots are etcd's own: the real etcdctl restores ours, a real etcd runs on it, and we load the real one's."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aetcd.rpc import rpc_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import ETCDCTL, Client, real_etcd

from k8s_core.clock import Loop
from k8s_core.etcd import bolt, snapshot
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError, Store

linux = pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")
ALL = {"key": b"\0", "range_end": b"\0"}


def service(writes: int = 0) -> Service:
    """With some history: deletions, transactions, a compaction, leases, large values."""
    loop = Loop()
    one = Service(Store(loop), loop)
    one.call("lease_grant", rpc_pb2.LeaseGrantRequest(ID=7, TTL=9000))
    for number in range(writes):
        put = rpc_pb2.PutRequest(key=b"key%d" % (number % 400), value=b"v" * (number % 7000), lease=7 * (number % 2))
        both = [rpc_pb2.RequestOp(request_put=p) for p in (put, rpc_pb2.PutRequest(key=b"last", value=b"%d" % number))]
        one.call("txn", rpc_pb2.TxnRequest(success=both))
        if number % 9 == 0:
            one.call("delete_range", rpc_pb2.DeleteRangeRequest(key=b"key%d" % (number // 2)))
    if writes:
        one.call("compact", rpc_pb2.CompactionRequest(revision=writes // 2))
        one.call("role_add", rpc_pb2.AuthRoleAddRequest(name="reader"))
    return one


def etcdctl(*words: str) -> str:
    return subprocess.run([str(ETCDCTL), *words], capture_output=True, text=True, check=True).stdout


def answers(ask: Any, revisions: range) -> list[Any]:
    """All keys at each revision, and the leases."""
    found = [list(ask("Range", rpc_pb2.RangeRequest(**ALL, revision=revision)).kvs) for revision in revisions]
    return [*found, [lease.ID for lease in ask("LeaseLeases", rpc_pb2.LeaseLeasesRequest()).leases]]


def ours(one: Service) -> Any:
    names = {"Range": "range", "LeaseLeases": "lease_leases"}
    return lambda method, request: one.call(names[method], request)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=3000), max_size=60))
def test_a_file_holds_what_was_put_into_it(items: dict[bytes, bytes]) -> None:
    """Buckets come back as they were, empty ones too; a cut or foreign file is refused."""
    data = bolt.dump({"full": sorted(items.items()), "empty": []})
    assert bolt.load(data) == {"full": sorted(items.items()), "empty": []}
    for broken in (b"", data[: bolt.PAGE], bytes(len(data))):
        with pytest.raises(bolt.Damaged):
            bolt.load(broken)


def test_a_snapshot_comes_back_whole_or_not_at_all(tmp_path: Path) -> None:
    """Every version and lease is there again; a damaged file is refused."""
    one, other = service(300), Store(Loop())
    assert snapshot.save(one, tmp_path / "s.db") == one.store.revision
    data = (tmp_path / "s.db").read_bytes()
    assert snapshot.load(other, data) == one.store.revision
    assert list(other.kept()) == list(one.store.kept()) and other.hash() == one.store.hash()
    assert other.leases[7].keys == one.store.leases[7].keys and other.compact_revision == one.store.compact_revision
    with pytest.raises(EtcdError, match="expected sha256"):
        snapshot.load(Store(), data.replace(b"reader", b"writer"))


@linux
def test_the_real_etcdctl_reads_and_restores_it(tmp_path: Path) -> None:
    """`snapshot status` counts its keys, and an etcd started on what `snapshot restore` made answers as ours does."""
    one, file = service(1500), tmp_path / "ours.db"
    snapshot.save(one, file)
    status = json.loads(etcdctl("snapshot", "status", str(file), "-w", "json"))
    assert status["revision"] == one.store.revision and status["totalKey"] > 1000
    etcdctl("snapshot", "restore", str(file), "--data-dir", str(tmp_path / "real"))
    with real_etcd(tmp_path) as address:
        client = Client(address)
        there = client.call("Range", rpc_pb2.RangeRequest(**ALL)).header.revision
        assert there == one.store.revision
        assert answers(client.call, range(750, there, 50)) == answers(ours(one), range(750, there, 50))
        assert client.call("RoleList", rpc_pb2.AuthRoleListRequest()).roles == ["reader"]
        client.close()


@linux
def test_what_the_real_etcd_saved_can_be_loaded(tmp_path: Path) -> None:
    """The same history on both sides: loaded from the real one's snapshot, ours answers at every revision."""
    with real_etcd(tmp_path) as address:
        client, file = Client(address), tmp_path / "real.db"
        for number in range(60):
            client.call("Put", rpc_pb2.PutRequest(key=b"k%d" % (number % 7), value=b"%d" % number))
            client.call("DeleteRange", rpc_pb2.DeleteRangeRequest(key=b"k%d" % (number % 5)))
        client.call("LeaseGrant", rpc_pb2.LeaseGrantRequest(ID=9, TTL=5000))
        client.call("Compact", rpc_pb2.CompactionRequest(revision=40, physical=True))
        etcdctl(f"--endpoints={address}", "snapshot", "save", str(file))
        loop = Loop()
        one = Service(Store(loop), loop)
        revision = snapshot.load(one.store, file.read_bytes())
        assert one.store.compact_revision == 40
        assert answers(ours(one), range(40, revision + 1)) == answers(client.call, range(40, revision + 1))
        client.close()
