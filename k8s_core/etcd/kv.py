"""etcd's KV and Lease API on one key space: ranges, puts, deletions, transactions, compactions, leases.

Stands for etcdserver/apply.go (applierV3backend) and the lease half of v3_server.go. Messages are the protobuf
classes of the package `aetcd`; nothing here knows how they travel. The header of an answer inside a transaction
holds a revision only, as in etcd; service.py fills the outer one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from aetcd.rpc import kv_pb2, rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.model import invalid
from k8s_core.etcd.store import (
    Compare,
    EtcdError,
    Event,
    KeyValue,
    Op,
    Put,
    Store,
    Writer,
    future_revision,
    lease_not_found,
)
from k8s_core.etcd.txn import is_read_only
from k8s_core.limits import ETCD_MAX_LEASE_TTL, ETCD_MIN_LEASE_TTL

Message = Any
SORT_FIELDS = ("key", "version", "create_revision", "mod_revision", "value")  # RangeRequest.SortTarget
COMPARE_RESULTS = {"=": 0, ">": 1, "<": 2, "!=": 3}
COMPARE_TARGETS = {
    "version": (0, "version"),
    "create": (1, "create_revision"),
    "mod": (2, "mod_revision"),
    "value": (3, "value"),
    "lease": (4, "lease"),
}
TARGET_FIELDS = ("version", "create_revision", "mod_revision", "value", "lease")  # Compare.CompareTarget


def to_pb(kv: KeyValue, *, keys_only: bool = False) -> Message:
    key, value, created, modified, version, lease = kv
    return kv_pb2.KeyValue(
        key=key,
        value=b"" if keys_only else value,
        create_revision=created,
        mod_revision=modified,
        version=version,
        lease=lease,
    )


def event_to_pb(event: Event, prev: KeyValue | None = None) -> Message:
    kind = 0 if event.type == "PUT" else 1
    return kv_pb2.Event(type=kind, kv=to_pb(event.kv), prev_kv=to_pb(prev) if prev else None)


def txn_to_pb(compares: Iterable[Compare], success: Iterable[Op], failure: Iterable[Op]) -> Message:
    """A Store's transaction as the message that says the same."""
    request = rpc_pb2.TxnRequest()
    for key, target, op, value in compares:
        number, name = COMPARE_TARGETS[target]
        request.compare.add(key=key, target=number, result=COMPARE_RESULTS[op], **{name: value})
    for branch, ops in ((request.success, success), (request.failure, failure)):
        for each in ops:
            if isinstance(each, Put):
                branch.add(request_put=rpc_pb2.PutRequest(key=each.key, value=each.value, lease=each.lease))
            else:
                delete = rpc_pb2.DeleteRangeRequest(key=each.key, range_end=each.range_end)
                branch.add(request_delete_range=delete)
    return request


def from_pb(kv: Message) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _revision(revision: int) -> Message:
    return rpc_pb2.ResponseHeader(revision=revision)


class KV:
    """What the KV and Lease services do to a store, by their gRPC names in snake case."""

    def __init__(self, store: Store, loop: Loop):
        self.store, self.loop = store, loop

    # --- reading --------------------------------------------------------------------------------------------
    def range(self, request: Message) -> Message:
        return self._range(request, self.store.revision)

    def _range(self, request: Message, now: int) -> Message:
        if request.revision > now:
            raise future_revision()
        self.store.check_revision(min(request.revision, self.store.revision))
        bounds = (
            request.max_mod_revision,
            request.min_mod_revision,
            request.max_create_revision,
            request.min_create_revision,
        )
        order = request.sort_order or (1 if request.sort_target else 0)  # a target alone means ascending
        later = any(bounds) or request.sort_order  # filter or sort first, cut afterwards
        limit = 1 if request.count_only else request.limit + 1 if request.limit > 0 and not later else 0
        past = request.revision if request.revision <= self.store.revision else 0
        found = self.store.range(request.key, request.range_end, limit=limit, revision=past)
        response = rpc_pb2.RangeResponse(header=_revision(now), count=found.count)
        if request.count_only:
            return response
        kvs = found.kvs
        if any(bounds):
            kvs = [kv for kv in kvs if _within_bounds(kv, *bounds)]
        if order:
            field = SORT_FIELDS[request.sort_target]
            kvs = sorted(kvs, key=lambda kv: getattr(kv, field), reverse=order == 2)
        if 0 < request.limit < len(kvs):
            kvs, response.more = kvs[: request.limit], True
        response.kvs.extend(to_pb(kv, keys_only=request.keys_only) for kv in kvs)
        return response

    # --- writing --------------------------------------------------------------------------------------------
    def put(self, request: Message) -> Message:
        self._check_lease(request.lease)
        if request.ignore_value or request.ignore_lease:
            self._check_exists(request.key)
        with self.store.write() as txn:
            return self._put(request, txn)

    def _put(self, request: Message, txn: Writer) -> Message:
        now = self.store.get(request.key)
        value = now.value if request.ignore_value and now else request.value
        lease = now.lease if request.ignore_lease and now else request.lease
        previous = txn.put(request.key, value, lease)
        prev = to_pb(previous) if request.prev_kv and previous else None
        return rpc_pb2.PutResponse(header=_revision(txn.revision), prev_kv=prev)

    def delete_range(self, request: Message) -> Message:
        with self.store.write() as txn:
            return self._delete_range(request, txn)

    def _delete_range(self, request: Message, txn: Writer) -> Message:
        gone = txn.delete_range(request.key, request.range_end)
        prev = [to_pb(kv) for kv in gone] if request.prev_kv else []
        return rpc_pb2.DeleteRangeResponse(header=_revision(txn.revision), deleted=len(gone), prev_kvs=prev)

    def compact(self, request: Message) -> Message:
        self.store.compact(request.revision)
        return rpc_pb2.CompactionResponse(header=_revision(self.store.revision))

    def _check_lease(self, id: int) -> None:
        if id and id not in self.store.leases:
            raise lease_not_found()

    def _check_exists(self, key: bytes) -> None:
        if self.store.get(key) is None:
            raise invalid("key not found")

    # --- transactions ---------------------------------------------------------------------------------------
    def txn(self, request: Message) -> Message:
        """Which branches run, nested ones too, is decided before anything is written; then it is one revision."""
        path = list(self._path(request))
        running = list(_operations(request, iter(path)))
        if not is_read_only(request):
            for op in running:
                if op.WhichOneof("request") == "request_put":
                    put = op.request_put
                    if put.ignore_value or put.ignore_lease:
                        self._check_exists(put.key)
                    self._check_lease(put.lease)
        for op in running:
            if op.WhichOneof("request") == "request_range":
                self.store.check_revision(op.request_range.revision)
        with self.store.write() as txn:
            response = self._txn(request, iter(path), txn)
            response.header.revision = txn.revision
        return response

    def _path(self, request: Message) -> Iterator[bool]:
        holds = all(map(self._holds, request.compare))
        yield holds
        for op in request.success if holds else request.failure:
            if op.WhichOneof("request") == "request_txn":
                yield from self._path(op.request_txn)

    def _txn(self, request: Message, path: Iterator[bool], txn: Writer) -> Message:
        response = rpc_pb2.TxnResponse(header=rpc_pb2.ResponseHeader(), succeeded=next(path))
        for op in request.success if response.succeeded else request.failure:
            answer = response.responses.add()
            match op.WhichOneof("request"):
                case "request_range":
                    answer.response_range.CopyFrom(self._range(op.request_range, txn.revision))
                case "request_put":
                    answer.response_put.CopyFrom(self._put(op.request_put, txn))
                case "request_delete_range":
                    answer.response_delete_range.CopyFrom(self._delete_range(op.request_delete_range, txn))
                case _:
                    answer.response_txn.CopyFrom(self._txn(op.request_txn, path, txn))
        return response

    def _holds(self, compare: Message) -> bool:
        field = TARGET_FIELDS[compare.target]
        kvs = self.store.range(compare.key, compare.range_end).kvs
        if not kvs:
            if field == "value":
                return False  # a missing key has no value to compare, not an empty one
            kvs = [KeyValue(compare.key, b"", 0, 0, 0)]
        want = getattr(compare, field)
        return all(_stands(getattr(kv, field), compare.result, want) for kv in kvs)

    # --- leases ---------------------------------------------------------------------------------------------
    def lease_grant(self, request: Message) -> Message:
        if request.TTL > ETCD_MAX_LEASE_TTL:
            raise EtcdError("OUT_OF_RANGE", "etcdserver: too large lease TTL")
        lease = self.store.lease_grant(max(request.TTL, ETCD_MIN_LEASE_TTL), request.ID)
        return rpc_pb2.LeaseGrantResponse(header=_revision(0), ID=lease.id, TTL=lease.ttl)

    def lease_revoke(self, request: Message) -> Message:
        self.store.lease_revoke(request.ID)
        return rpc_pb2.LeaseRevokeResponse(header=_revision(0))

    def lease_keep_alive(self, request: Message) -> Message:
        response = rpc_pb2.LeaseKeepAliveResponse(header=_revision(0), ID=request.ID)
        if request.ID in self.store.leases:
            response.TTL = self.store.lease_keep_alive(request.ID).ttl
        return response

    def lease_time_to_live(self, request: Message) -> Message:
        response = rpc_pb2.LeaseTimeToLiveResponse(header=_revision(0), ID=request.ID, TTL=-1)
        if lease := self.store.leases.get(request.ID):
            response.TTL, response.grantedTTL = int(self.store.lease_time_to_live(lease.id)), lease.ttl
            response.keys.extend(sorted(lease.keys) if request.keys else ())
        return response

    def lease_leases(self, request: Message) -> Message:
        ids: Iterable[int] = sorted(self.store.leases, key=self.store.lease_time_to_live)
        return rpc_pb2.LeaseLeasesResponse(header=_revision(0), leases=[rpc_pb2.LeaseStatus(ID=id) for id in ids])


def _operations(request: Message, path: Iterator[bool]) -> Iterator[Message]:
    """The operations that will run, in order, without the transactions around them."""
    for op in request.success if next(path) else request.failure:
        if op.WhichOneof("request") == "request_txn":
            yield from _operations(op.request_txn, path)
        else:
            yield op


def _within_bounds(kv: KeyValue, last: int, first: int, born_last: int, born_first: int) -> bool:
    return (
        (not last or kv.mod_revision <= last)
        and (not first or kv.mod_revision >= first)
        and (not born_last or kv.create_revision <= born_last)
        and (not born_first or kv.create_revision >= born_first)
    )


def _stands(have: Any, result: int, want: Any) -> bool:
    return bool((have == want, have > want, have < want, have != want)[result])
