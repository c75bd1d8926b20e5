"""etcd's v3 API in front of a key space: what each gRPC method does, with etcd's checks, texts and codes.

Stands for server/etcdserver/api/v3rpc and apply.go. Messages are the protobuf classes of the package `aetcd`, so
nothing here knows how they travel; wire.py does. One member: the raft term is always 1 and the index is the
number of writes. Left out: learners, moving the leader, downgrade.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aetcd.rpc import kv_pb2, rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.store import DeleteRange, EtcdError, Event, KeyValue, Lease, Op, Put, RangeResult, Store, within

CLUSTER_ID, MEMBER_ID = 0xCDF818194E3A8C32, 0x8E9E05C52164694D  # those of every etcd that was given no name
VERSION = "3.5.12"
MAX_TXN_OPS = 128  # --max-txn-ops
MAX_REQUEST_BYTES = 1_572_864  # --max-request-bytes
Message = Any
"""One of the classes of rpc_pb2; the package ships no types for them."""

SORT_FIELDS = ("key", "version", "create_revision", "mod_revision", "value")  # RangeRequest.SortTarget
TARGET_FIELDS = ("version", "create_revision", "mod_revision", "value", "lease")  # Compare.CompareTarget


def invalid(message: str) -> EtcdError:
    return EtcdError("INVALID_ARGUMENT", f"etcdserver: {message}")


def key_not_found() -> EtcdError:
    return EtcdError("INVALID_ARGUMENT", "etcdserver: key not found")


def to_pb(kv: KeyValue, *, keys_only: bool = False) -> Message:
    return kv_pb2.KeyValue(
        key=kv.key,
        value=b"" if keys_only else kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def event_to_pb(event: Event, *, prev_kv: bool) -> Message:
    return kv_pb2.Event(
        type=0 if event.type == "PUT" else 1,
        kv=to_pb(event.kv),
        prev_kv=to_pb(event.prev) if prev_kv and event.prev else None,
    )


class Service:
    """The unary methods, by their gRPC names in snake case. Every one takes and gives protobuf messages."""

    def __init__(self, store: Store, loop: Loop):
        self.store, self.loop = store, loop
        self.alarms: set[int] = set()

    def header(self) -> Message:
        return rpc_pb2.ResponseHeader(
            cluster_id=CLUSTER_ID, member_id=MEMBER_ID, revision=self.store.revision, raft_term=2
        )

    # --- KV -------------------------------------------------------------------------------------------------
    def range(self, request: Message) -> Message:
        self._check_range(request)
        return self._ranged(request, self._select(request))

    def _check_range(self, request: Message) -> None:
        if not request.key:
            raise invalid("key is not provided")
        if request.sort_order not in (0, 1, 2) or request.sort_target not in range(5):
            raise invalid("invalid sort option")

    def _select(self, request: Message) -> RangeResult:
        """The range with everything that etcd does after reading it: bounds, order, limit."""
        bounds = (
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        )
        sorting = request.sort_order or request.sort_target
        limit = 0 if any(bounds) or sorting else request.limit
        found = self.store.range(request.key, request.range_end, limit=limit, revision=request.revision)
        if not any(bounds) and not sorting:
            return found
        low, high, born, last = bounds
        kvs = [
            kv
            for kv in found.kvs
            if (not low or kv.mod_revision >= low)
            and (not high or kv.mod_revision <= high)
            and (not born or kv.create_revision >= born)
            and (not last or kv.create_revision <= last)
        ]
        field = SORT_FIELDS[request.sort_target]
        if request.sort_order or request.sort_target:  # a target without an order means ascending
            kvs.sort(key=lambda kv: getattr(kv, field), reverse=request.sort_order == 2)
        more = bool(request.limit) and len(kvs) > request.limit
        return RangeResult(kvs[: request.limit] if more else kvs, found.count, more, found.revision)

    def _ranged(self, request: Message, found: RangeResult) -> Message:
        if request.count_only:
            return rpc_pb2.RangeResponse(header=self.header(), count=found.count)
        kvs = [to_pb(kv, keys_only=request.keys_only) for kv in found.kvs]
        return rpc_pb2.RangeResponse(header=self.header(), kvs=kvs, more=found.more, count=found.count)

    def put(self, request: Message) -> Message:
        self._check_put(request)
        op = self._put_op(request)
        previous = self.store.put(op.key, op.value, op.lease)
        return self._written(request, previous)

    def _check_put(self, request: Message) -> None:
        if not request.key:
            raise invalid("key is not provided")
        if request.ignore_value and request.value:
            raise invalid("value is provided")
        if request.ignore_lease and request.lease:
            raise invalid("lease is provided")

    def _put_op(self, request: Message) -> Put:
        now = self.store.get(request.key)
        if (request.ignore_value or request.ignore_lease) and now is None:
            raise key_not_found()
        value = now.value if request.ignore_value and now else request.value
        lease = now.lease if request.ignore_lease and now else request.lease
        return Put(request.key, value, lease)

    def _written(self, request: Message, previous: KeyValue | None) -> Message:
        prev = to_pb(previous) if request.prev_kv and previous else None
        return rpc_pb2.PutResponse(header=self.header(), prev_kv=prev)

    def delete_range(self, request: Message) -> Message:
        if not request.key:
            raise invalid("key is not provided")
        return self._deleted(request, self.store.delete_range(request.key, request.range_end))

    def _deleted(self, request: Message, gone: Sequence[KeyValue]) -> Message:
        prev = [to_pb(kv) for kv in gone] if request.prev_kv else []
        return rpc_pb2.DeleteRangeResponse(header=self.header(), deleted=len(gone), prev_kvs=prev)

    def compact(self, request: Message) -> Message:
        self.store.compact(request.revision)
        return rpc_pb2.CompactionResponse(header=self.header())

    # --- transactions ---------------------------------------------------------------------------------------
    def txn(self, request: Message) -> Message:
        """One revision for all of it. Which branch runs is decided before anything is written, nested ones too."""
        self._check_txn(request)
        ops: list[Op] = []
        fill = self._plan(request, ops)
        results = iter(self.store.txn((), ops).responses)
        return fill(results)

    def _check_txn(self, request: Message) -> None:
        if max(len(request.compare), len(request.success), len(request.failure)) > MAX_TXN_OPS:
            raise invalid("too many operations in txn request")
        for compare in request.compare:
            if not compare.key:
                raise invalid("key is not provided")
        for branch in (request.success, request.failure):
            self._check_branch(branch)
            self._check_overlap(branch)

    def _check_branch(self, branch: Iterable[Message]) -> None:
        for op in branch:
            match op.WhichOneof("request"):
                case "request_range":
                    self._check_range(op.request_range)
                case "request_put":
                    self._check_put(op.request_put)
                case "request_delete_range":
                    if not op.request_delete_range.key:
                        raise invalid("key is not provided")
                case "request_txn":
                    self._check_txn(op.request_txn)
                case _:
                    raise invalid("key not found")

    def _check_overlap(self, branch: Iterable[Message]) -> tuple[set[bytes], list[tuple[bytes, bytes]]]:
        """No key may be put twice, nor put and deleted, in one branch; returns what it puts and deletes."""
        puts: set[bytes] = set()
        deletes: list[tuple[bytes, bytes]] = []
        ops = list(branch)
        for op in ops:
            if op.WhichOneof("request") == "request_delete_range":
                deletes.append((op.request_delete_range.key, op.request_delete_range.range_end))
            elif op.WhichOneof("request") == "request_txn":
                both: set[bytes] = set()
                for inner in (op.request_txn.success, op.request_txn.failure):
                    put, deleted = self._check_overlap(inner)
                    if any(key in puts for key in put) or any(_covers(d, key) for d in deletes for key in put):
                        raise invalid("duplicate key given in txn request")
                    both |= put
                    deletes += deleted
                puts |= both
        for op in ops:
            if op.WhichOneof("request") == "request_put":
                key = op.request_put.key
                if key in puts or any(_covers(d, key) for d in deletes):
                    raise invalid("duplicate key given in txn request")
                puts.add(key)
        return puts, deletes

    def _plan(self, request: Message, ops: list[Op]) -> Callable[[Any], Message]:
        """Append the operations that will run to `ops`; returns what makes the response of their results."""
        succeeded = all(self._holds(compare) for compare in request.compare)
        makers: list[tuple[str, Callable[[Any], Message]]] = []
        for op in request.success if succeeded else request.failure:
            kind = op.WhichOneof("request")
            if kind == "request_txn":
                makers.append(("response_txn", self._plan(op.request_txn, ops)))
                continue
            inner = getattr(op, kind)
            if kind == "request_put":
                ops.append(self._put_op(inner))
                makers.append(("response_put", lambda r, m=inner: self._written(m, next(r))))  # type: ignore[misc]
            elif kind == "request_delete_range":
                ops.append(DeleteRange(inner.key, inner.range_end))
                makers.append(("response_delete_range", lambda r, m=inner: self._deleted(m, next(r))))  # type: ignore[misc]
            else:
                self.store.check_revision(inner.revision)
                ops.append(lambda m=inner: self._select(m))  # type: ignore[misc]
                makers.append(("response_range", lambda r, m=inner: self._ranged(m, next(r))))  # type: ignore[misc]

        def fill(results: Any) -> Message:
            responses = [rpc_pb2.ResponseOp(**{name: make(results)}) for name, make in makers]
            return rpc_pb2.TxnResponse(header=self.header(), succeeded=succeeded, responses=responses)

        return fill

    def _holds(self, compare: Message) -> bool:
        field = TARGET_FIELDS[compare.target]
        kvs = self.store.range(compare.key, compare.range_end).kvs
        if not kvs:
            if field == "value":
                return False  # a missing key has no value to compare, not an empty one
            kvs = [KeyValue(compare.key, b"", 0, 0, 0)]
        want = getattr(compare, field)
        return all(_stands(getattr(kv, field), compare.result, want) for kv in kvs)

    # --- Lease ----------------------------------------------------------------------------------------------
    def lease_grant(self, request: Message) -> Message:
        if request.TTL > 9_000_000_000:
            raise EtcdError("OUT_OF_RANGE", "etcdserver: too large lease TTL")
        id = request.ID or self.loop.random.getrandbits(62) | 1 << 61
        lease = self.store.lease_grant(max(request.TTL, 2), id)  # etcd: no shorter than one and a half elections
        return rpc_pb2.LeaseGrantResponse(header=self.header(), ID=lease.id, TTL=lease.ttl)

    def lease_revoke(self, request: Message) -> Message:
        self.store.lease_revoke(request.ID)
        return rpc_pb2.LeaseRevokeResponse(header=self.header())

    def lease_keep_alive(self, request: Message) -> Message:
        lease: Lease | None = self.store.leases.get(request.ID)
        if lease:
            self.store.lease_keep_alive(request.ID)
        return rpc_pb2.LeaseKeepAliveResponse(header=self.header(), ID=request.ID, TTL=lease.ttl if lease else 0)

    def lease_time_to_live(self, request: Message) -> Message:
        lease = self.store.leases.get(request.ID)
        if lease is None:
            return rpc_pb2.LeaseTimeToLiveResponse(header=self.header(), ID=request.ID, TTL=-1)
        left = int(self.store.lease_time_to_live(lease.id))
        keys = sorted(lease.keys) if request.keys else []
        return rpc_pb2.LeaseTimeToLiveResponse(
            header=self.header(), ID=lease.id, TTL=left, grantedTTL=lease.ttl, keys=keys
        )

    def lease_leases(self, request: Message) -> Message:
        leases = [rpc_pb2.LeaseStatus(ID=id) for id in sorted(self.store.leases)]
        return rpc_pb2.LeaseLeasesResponse(header=self.header(), leases=leases)

    # --- Maintenance and Cluster ----------------------------------------------------------------------------
    def status(self, request: Message) -> Message:
        size = self.store.size()
        return rpc_pb2.StatusResponse(
            header=self.header(), version=VERSION, dbSize=size, dbSizeInUse=size, leader=MEMBER_ID,
            raftIndex=self.store.revision + 3, raftAppliedIndex=self.store.revision + 3, raftTerm=2,
        )  # fmt: skip

    def defragment(self, request: Message) -> Message:
        return rpc_pb2.DefragmentResponse(header=self.header())

    def hash(self, request: Message) -> Message:
        return rpc_pb2.HashResponse(header=self.header(), hash=self.store.hash())

    def hash_kv(self, request: Message) -> Message:
        if request.revision > self.store.revision:
            raise EtcdError("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision")
        compacted = self.store.compact_revision or -1
        return rpc_pb2.HashKVResponse(header=self.header(), hash=self.store.hash(), compact_revision=compacted)

    def alarm(self, request: Message) -> Message:
        if request.alarm and request.action == 1:
            self.alarms.add(request.alarm)
        elif request.alarm and request.action == 2:
            self.alarms.discard(request.alarm)
        members = [rpc_pb2.AlarmMember(memberID=MEMBER_ID, alarm=alarm) for alarm in sorted(self.alarms)]
        return rpc_pb2.AlarmResponse(header=self.header(), alarms=members)

    def member_list(self, request: Message) -> Message:
        return rpc_pb2.MemberListResponse(header=self.header(), members=[self.member])

    member: Message = rpc_pb2.Member(
        ID=MEMBER_ID, name="default", peerURLs=["http://localhost:2380"], clientURLs=["http://localhost:2379"]
    )

    def auth_status(self, request: Message) -> Message:
        return rpc_pb2.AuthStatusResponse(header=self.header(), enabled=False, authRevision=1)


def _covers(span: tuple[bytes, bytes], key: bytes) -> bool:
    return within(key, *span)


def _stands(have: Any, result: int, want: Any) -> bool:
    return bool((have == want, have > want, have < want, have != want)[result])
