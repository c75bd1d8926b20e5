"""What the v3 key space speaks of: keys at a revision, events, comparisons, operations, and etcd's errors."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

NO_END = b"\0"
"""A range end that means "all keys from here on" (and, with key \\0, "all keys")."""


class EtcdError(Exception):
    """An error in etcd's own words; `code` is the gRPC code's name."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code, self.message = code, message


def precondition(message: str) -> EtcdError:
    return EtcdError("FAILED_PRECONDITION", f"etcdserver: {message}")


def invalid(message: str) -> EtcdError:
    return EtcdError("INVALID_ARGUMENT", f"etcdserver: {message}")


def compacted() -> EtcdError:
    return EtcdError("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")


def future_revision() -> EtcdError:
    return EtcdError("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision")


def lease_not_found() -> EtcdError:
    return EtcdError("NOT_FOUND", "etcdserver: requested lease not found")


class KeyValue(NamedTuple):
    """One key at one revision. `version` 0 marks a tombstone: the key was deleted at `mod_revision`."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class Event(NamedTuple):
    """What a watcher sees: `kv` after the change (a tombstone for DELETE) and `prev` before it, if any."""

    type: Literal["PUT", "DELETE"]
    kv: KeyValue
    prev: KeyValue | None


@dataclass(frozen=True, slots=True)
class RangeResult:
    kvs: list[KeyValue]
    count: int
    more: bool
    revision: int


class Compare(NamedTuple):
    """One guard of a transaction: `target` of `key` stands in `op` to `value`; a missing key counts as zeros."""

    key: bytes
    target: Literal["version", "create", "mod", "value", "lease"]
    op: Literal["=", "!=", "<", ">"]
    value: int | bytes


class Put(NamedTuple):
    key: bytes
    value: bytes
    lease: int = 0


class DeleteRange(NamedTuple):
    key: bytes
    range_end: bytes = b""


Op = Put | DeleteRange


class TxnResult(NamedTuple):
    """`responses`: for a Put the previous KeyValue or None, for a DeleteRange the deleted ones."""

    succeeded: bool
    revision: int
    responses: list[KeyValue | list[KeyValue] | None]


def within(key: bytes, start: bytes, end: bytes) -> bool:
    """Whether a range request for [start, end) covers `key`."""
    if not end:
        return key == start
    return key >= start and (end == NO_END or key < end)


def prefix_end(prefix: bytes) -> bytes:
    """The range end that makes a range cover exactly the keys with this prefix."""
    for i in range(len(prefix) - 1, -1, -1):
        if prefix[i] < 0xFF:
            return prefix[:i] + bytes([prefix[i] + 1])
    return NO_END
