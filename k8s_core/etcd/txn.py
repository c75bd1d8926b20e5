"""Checks on v3 requests before anything happens: etcd's v3rpc/key.go, in its order and words.

A request that passes here can still fail when it is applied (an unknown lease, a compacted revision): see kv.py.
"""

from collections.abc import Sequence
from typing import Any

from k8s_core.etcd.model import invalid
from k8s_core.limits import ETCD_MAX_TXN_OPS

Message = Any
"""One of the classes of rpc_pb2; the package ships no types for them."""


def check_key(request: Message) -> None:
    if not request.key:
        raise invalid("key is not provided")


def check_put(request: Message) -> None:
    check_key(request)
    if request.ignore_value and request.value:
        raise invalid("value is provided")
    if request.ignore_lease and request.lease:
        raise invalid("lease is provided")


def check_txn(request: Message, allowed: int = ETCD_MAX_TXN_OPS) -> None:
    """Refuse what cannot be meant: too many operations, no key, one key written twice."""
    _check_operations(request, allowed)
    _overlap(request.success)
    _overlap(request.failure)


def is_read_only(request: Message) -> bool:
    return all(op.WhichOneof("request") == "request_range" for op in (*request.success, *request.failure))


def _check_operations(request: Message, allowed: int) -> None:
    longest = max(len(request.compare), len(request.success), len(request.failure))
    if longest > allowed:
        raise invalid("too many operations in txn request")
    for compare in request.compare:
        check_key(compare)
    for op in (*request.success, *request.failure):
        match op.WhichOneof("request"):
            case "request_range":
                check_key(op.request_range)
            case "request_put":
                check_put(op.request_put)
            case "request_delete_range":
                check_key(op.request_delete_range)
            case "request_txn":
                _check_operations(op.request_txn, allowed - longest)
            case _:
                raise invalid("key not found")


Span = tuple[bytes, bytes]


def _overlap(ops: Sequence[Message]) -> tuple[set[bytes], list[Span]]:
    """What a branch puts and deletes, nested branches included; no key may be in both, nor be put twice."""
    deletes = [
        (op.request_delete_range.key, op.request_delete_range.range_end)
        for op in ops
        if op.WhichOneof("request") == "request_delete_range"
    ]
    puts: set[bytes] = set()
    for op in ops:
        if op.WhichOneof("request") != "request_txn":
            continue
        then, then_deletes = _overlap(op.request_txn.success)
        other, other_deletes = _overlap(op.request_txn.failure)
        if (then | other) & puts or any(_deleted(deletes, key) for key in then | other):
            raise invalid("duplicate key given in txn request")
        puts |= then | other
        deletes += then_deletes + other_deletes
    for op in ops:
        if op.WhichOneof("request") == "request_put":
            key = op.request_put.key
            if key in puts or _deleted(deletes, key):
                raise invalid("duplicate key given in txn request")
            puts.add(key)
    return puts, deletes


def _deleted(deletes: list[Span], key: bytes) -> bool:
    """As etcd's interval tree sees it: there an end of \\0 is a small key, not "no end"."""
    return any(start <= key < (end or start + b"\0") for start, end in deletes)
