"""What was answered survives: crashes at every kind of byte, snapshots on the way, damage that is refused."""

import random
import shutil
from pathlib import Path
from typing import Any

import crashes
import pytest
from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd import state
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Store
from k8s_core.etcd.wal import Damaged, Durable


def test_two_hundred_crash_points(tmp_path: Path) -> None:
    """Killed after any number of bytes, a member has everything it answered, and nothing it was never asked."""
    assert crashes.run(tmp_path, points=200, seed=1) == 200


def test_a_snapshot_keeps_history_users_leases_and_the_tree(tmp_path: Path) -> None:
    """State taken out of one member and put into another answers every question in the same way."""
    one = crashes.member(tmp_path / "a")
    dice = random.Random(5)
    for _ in range(300):
        crashes.ask(one.service, crashes.request(dice))
    other = Service(Store(Loop()), Loop())
    data = state.dump(one.service)
    state.load(other, data)
    assert state.dump(other) == data
    compacted = one.service.store.compact_revision
    for revision in range(max(compacted, 1), one.service.store.revision + 1):
        asked = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0", revision=revision)
        assert other.kv.range(asked).kvs == one.service.kv.range(asked).kvs
    later = compacted + 1
    assert list(other.store.events_since(later)) == list(one.service.store.events_since(later))


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    """A flipped bit before the last record is not mistaken for a torn write."""
    durable = crashes.member(tmp_path)
    for value in (b"1", b"2", b"3"):
        durable.service.call("put", rpc_pb2.PutRequest(key=b"k", value=value))
    durable.close()
    (segment,) = tmp_path.glob("*.wal")
    data = bytearray(segment.read_bytes())
    data[12] ^= 1
    segment.write_bytes(data)
    with pytest.raises(Damaged, match="wal: crc mismatch"):
        crashes.member(tmp_path)


def test_a_full_log_becomes_a_snapshot(tmp_path: Path) -> None:
    """After so many writes the old log goes, and the state comes back from the snapshot and what followed it."""
    loop = Loop()
    first = Durable(Service(Store(loop), loop), tmp_path, fsync=False, snapshot_count=10)
    for number in range(25):
        first.service.call("put", rpc_pb2.PutRequest(key=b"k", value=b"%d" % number))
    first.close()
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    again: Any = crashes.member(tmp_path.with_name("copy"))
    assert again.service.store.revision == 26
    assert again.service.store.range(b"k", revision=5).kvs[0].value == b"3"
