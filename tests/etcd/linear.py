"""Recorded histories of concurrent clients of a group under faults, and whether they could have happened one by one."""

import random
from dataclasses import dataclass
from functools import partial
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd import state
from k8s_core.etcd.group import Group
from k8s_core.etcd.store import EtcdError

KEYS = (b"x", b"y")
NEVER = float("inf")
UNKNOWN = object()


@dataclass
class Op:
    """One operation on one key. `result` is UNKNOWN if the client never learned it; then it may never have happened."""

    kind: str
    key: bytes
    value: bytes
    expected: bytes
    start: float
    end: float = NEVER
    result: Any = UNKNOWN


class Client:
    """Asks one thing after another, of whatever member it likes."""

    def __init__(self, group: Group, name: int, dice: random.Random, history: list[Op]):
        self.group, self.name, self.dice, self.history = group, name, dice, history
        self.count = 0
        self.group.loop.call_later(dice.random(), self.ask)

    def ask(self) -> None:
        dice, group = self.dice, self.group
        self.count += 1
        kind = dice.choice(("put", "get", "cas"))
        value, expected = f"{self.name}.{self.count}".encode(), f"{dice.randrange(3)}.{dice.randrange(1, 6)}".encode()
        op = Op(kind, dice.choice(KEYS), value, expected, group.loop.now)
        self.history.append(op)
        node = group.nodes[dice.choice(group.ids)]
        put = rpc_pb2.PutRequest(key=op.key, value=value)
        if kind == "get":
            node.call("range", rpc_pb2.RangeRequest(key=op.key), partial(self.done, op))
        elif kind == "put":
            node.call("put", put, partial(self.done, op))
        else:
            compare = rpc_pb2.Compare(key=op.key, target=3, result=0, value=expected)
            success = [rpc_pb2.RequestOp(request_put=put)]
            node.call("txn", rpc_pb2.TxnRequest(compare=[compare], success=success), partial(self.done, op))

    def done(self, op: Op, answer: Any) -> None:
        if isinstance(answer, EtcdError):
            if answer.message == "connection refused":
                self.history.remove(op)
        else:
            op.end = self.group.loop.now
            kvs = answer.kvs if op.kind == "get" else ()
            op.result = (
                {"put": True, "get": kvs[0].value if kvs else b""}.get(op.kind)
                if op.kind != "cas"
                else answer.succeeded
            )
        self.group.loop.call_later(self.dice.uniform(0.05, 0.6), self.ask)


def break_something(group: Group, dice: random.Random, until: float) -> None:
    if group.loop.now > until:
        return
    victim = group.nodes[dice.choice(group.ids)]
    match dice.randrange(7):
        case 0:
            victim.kill()
        case 1 | 2:
            for node in group.nodes.values():
                node.start()
        case 3:
            group.isolate(victim.id)
        case 4:
            others = [id for id in group.ids if id != victim.id]
            group.cut.add(frozenset((victim.id, dice.choice(others))))
        case 5:
            group.heal()
        case 6:
            group.loss = dice.choice((0.0, 0.1, 0.3))
    group.loop.call_later(dice.uniform(0.3, 2.5), break_something, group, dice, until)


def linearizable(history: list[Op]) -> bool:
    """Whether each key's operations fit some order that respects who ended before whom (Wing and Gong, with memory)."""
    return all(_one_key([op for op in history if op.key == key and not _lost_read(op)]) for key in KEYS)


def _lost_read(op: Op) -> bool:
    return op.kind == "get" and op.result is UNKNOWN


def _one_key(ops: list[Op]) -> bool:
    ops.sort(key=lambda op: op.start)
    needed = sum(1 << i for i, op in enumerate(ops) if op.result is not UNKNOWN)
    seen: set[tuple[int, bytes]] = set()
    stack = [(0, b"")]
    while stack:
        done, value = stack.pop()
        if done & needed == needed:
            return True
        if (done, value) in seen:
            continue
        seen.add((done, value))
        first_end = min(op.end for i, op in enumerate(ops) if not done >> i & 1)
        for i, op in enumerate(ops):
            if done >> i & 1:
                continue
            if op.start > first_end:
                break
            for after in _effects(op, value):
                stack.append((done | 1 << i, after))
    return False


def _effects(op: Op, value: bytes) -> list[bytes]:
    """The values that an operation can leave behind when it happens now; none if its result says it cannot be now."""
    if op.kind == "put":
        return [op.value]
    if op.kind == "get":
        return [value] if op.result == value else []
    holds = value == op.expected and value != b""
    if op.result is not UNKNOWN and op.result != holds:
        return []
    return [op.value if holds else value]


def run(seed: int, seconds: float = 20.0) -> int:
    """One history: AssertionError if it is not linearizable or the members end up different; its length."""
    loop, dice = Loop(0, seed), random.Random(seed)
    loop.strict = True
    group = Group(loop, 3, seed=seed, snapshot_count=15)
    history: list[Op] = []
    loop.advance(3)
    for name in range(3):
        Client(group, name, dice, history)
    break_something(group, dice, loop.now + seconds)
    loop.advance(seconds)
    group.heal()
    group.loss = 0.0
    for node in group.nodes.values():
        node.start()
    loop.advance(8)
    leader = group.leader
    assert leader, f"seed {seed}: no leader after all was mended"
    recorded = list(history)
    assert linearizable(recorded), f"seed {seed}: not linearizable"
    group.stop()
    states = {state.dump(node.service) for node in group.nodes.values() if node.raft.applied == leader.raft.applied}
    assert len(states) == 1, f"seed {seed}: members differ"
    return len(recorded)
