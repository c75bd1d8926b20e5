"""Crash points: a member killed while the n-th byte goes to its disk, started again and asked what it remembers."""

import contextlib
import random
import shutil
from io import FileIO
from pathlib import Path
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd import state
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.tree_hub import TreeError
from k8s_core.etcd.v2 import KeyRequest
from k8s_core.etcd.wal import Durable

SNAPSHOT_COUNT = 25


class Crash(Exception):
    """The power went off."""


class Disk:
    """Lets so many bytes through, then fails for good."""

    def __init__(self, left: int) -> None:
        self.left = left

    def open(self, path: Path) -> Any:
        disk = self

        class File(FileIO):
            def write(self, data: Any) -> int:
                part = bytes(data)[: max(disk.left, 0)]
                disk.left -= len(data)
                super().write(part)
                if disk.left < 0:
                    raise Crash
                return len(data)

        return File(path, "ab")


def member(folder: Path, disk: Disk | None = None) -> Durable:
    loop = Loop()
    service = Service(Store(loop), loop)
    return Durable(service, folder, fsync=False, snapshot_count=SNAPSHOT_COUNT, opened=disk.open if disk else None)


def request(dice: random.Random) -> tuple[str, Any]:
    """A random write, to v3 or v2."""
    key, value = b"key%d" % dice.randrange(6), b"%d" % dice.randrange(1000)
    put, delete = rpc_pb2.PutRequest(key=key, value=value), rpc_pb2.DeleteRangeRequest(key=key)
    kind = dice.randrange(12)
    if kind < 5:
        return "put", put
    if kind == 5:
        return "delete_range", delete
    if kind == 6:
        both = rpc_pb2.PutRequest(key=b"other", value=value)
        ops = [rpc_pb2.RequestOp(request_put=put), rpc_pb2.RequestOp(request_put=both)]
        return "txn", rpc_pb2.TxnRequest(success=ops)
    if kind == 7:
        return "compact", rpc_pb2.CompactionRequest(revision=dice.randrange(1, 40))
    if kind == 8:
        return "lease_grant", rpc_pb2.LeaseGrantRequest(ID=dice.randrange(1, 4), TTL=600)
    if kind == 9:
        return "put", rpc_pb2.PutRequest(key=key, value=value, lease=dice.randrange(1, 4))
    if kind == 10:
        return "role_add", rpc_pb2.AuthRoleAddRequest(name=f"role{dice.randrange(9)}")
    return "v2", KeyRequest.parse("PUT", f"/dir/{key.decode()}", {"value": value.decode()}, 0)


def ask(service: Service, asked: tuple[str, Any]) -> None:
    name, message = asked
    try:
        if name == "v2":
            service.write_v2(message)
        else:
            service.call(name, message)
    except (EtcdError, TreeError):
        pass


def ask_together(durable: Durable, asked: list[tuple[str, Any]]) -> None:
    """Several clients' writes with one trip to the disk; those of API 2 go on their own."""
    for name, message in asked:
        if name == "v2":
            ask(durable.service, (name, message))
        else:
            with contextlib.suppress(EtcdError):
                durable.service.prepare(name, message)
                durable.add(name, message, lambda answer: None)
    durable.write()
    durable.settle()


def run(folder: Path, points: int, seed: int, writes: int = 60) -> int:
    """Crash that often, each time at another byte; returns how many crashes were survived."""
    dice = random.Random(seed)
    requests = [request(dice) for _ in range(writes)]
    model = Service(Store(Loop()), Loop())
    states = [state.dump(model)]
    for asked in requests:
        ask(model, asked)
        states.append(state.dump(model))
    whole = Disk(1 << 40)
    durable = member(folder / "whole", whole)
    for asked in requests:
        ask(durable.service, asked)
    total = (1 << 40) - whole.left
    for point in range(points):
        where = folder / f"p{point}"
        disk = Disk(dice.randrange(total))
        crashed, answered = member(where, disk), 0
        together = dice.choice((1, 1, 4))
        try:
            for start in range(0, writes, together):
                if together == 1:
                    ask(crashed.service, requests[start])
                else:
                    ask_together(crashed, requests[start : start + together])
                answered = start + together
        except Crash:
            pass
        crashed.close()
        again = member(where)
        found = state.dump(again.service)
        assert found in states[answered : answered + together + 1], (
            f"point {point}: {answered} answered, that is not what is there"
        )
        ask(again.service, ("put", rpc_pb2.PutRequest(key=b"after", value=b"crash")))
        again.close()
        shutil.rmtree(where)
    return points
