"""The same random v3 requests to the real etcd and to ours; every answer must be the same but for ids and times.

A hypothesis state machine. Revisions in requests are relative to the present, so that a failing example can be played
again; between two examples both key spaces are emptied. Used by test_differential.py and benchmarks/etcd.py.
"""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

from aetcd.rpc import rpc_pb2
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from servers import Client

from k8s_core.clock import Loop
from k8s_core.etcd.service import METHODS, Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.watching import WatchStream

Message = Any
KEYS = [b"a", b"aa", b"ab", b"b", b"ba", b"c", b"\x00", b"\xff"]
ENDS = [b"", b"", b"\0", b"b", b"c", b"aa", b"d", b"\xff\xff"]
WAIT = 10.0
MAX_BACK = 12

keys = st.sampled_from(KEYS)
spans = st.tuples(keys, st.sampled_from(ENDS))
values = st.sampled_from([b"", b"1", b"2", b"22", b"\xff\0"])
lease_ids = st.sampled_from([0, 0, 0, 7, 8, 9])
flags = st.booleans()
backs = st.one_of(st.none(), st.none(), st.integers(-2, MAX_BACK))
"""How many revisions before the present; None leaves the field out, negative is the future."""
small = st.integers(0, 6)


def _at(now: int, back: int | None) -> int:
    return 0 if back is None else max(now - back, 0)


ranges = st.fixed_dictionaries(
    {
        "span": spans, "back": backs, "limit": st.sampled_from([0, 0, 1, 2, 5, -1]), "order": st.integers(0, 2),
        "target": st.integers(0, 4), "keys_only": flags, "count_only": flags, "serializable": flags,
        "bounds": st.tuples(backs, backs, backs, backs),
    }
)  # fmt: skip
puts = st.fixed_dictionaries(
    {
        "key": keys, "value": values, "lease": lease_ids, "prev_kv": flags,
        "ignore": st.sampled_from(["", "", "", "value", "lease", "both"]),
    }
)  # fmt: skip
deletes = st.fixed_dictionaries({"span": spans, "prev_kv": flags})
compares = st.fixed_dictionaries(
    {"span": spans, "target": st.integers(0, 4), "result": st.integers(0, 3), "number": small, "back": backs,
     "value": values}
)  # fmt: skip
operations = st.one_of(
    ranges.map(lambda r: ("range", r)), puts.map(lambda r: ("put", r)), deletes.map(lambda r: ("delete_range", r))
)


def _transactions(inner: Any) -> Any:
    ops = st.lists(st.one_of(operations, inner.map(lambda t: ("txn", t))), max_size=3)
    return st.fixed_dictionaries({"compare": st.lists(compares, max_size=2), "success": ops, "failure": ops})


transactions = st.recursive(
    st.fixed_dictionaries(
        {
            "compare": st.lists(compares, max_size=2),
            "success": st.lists(operations, max_size=3),
            "failure": st.lists(operations, max_size=3),
        }
    ),
    _transactions,
    max_leaves=3,
)


def range_request(r: dict[str, Any], now: int) -> Message:
    bounds = [_at(now, back) for back in r["bounds"]]
    return rpc_pb2.RangeRequest(
        key=r["span"][0], range_end=r["span"][1], limit=r["limit"], revision=_at(now, r["back"]),
        sort_order=r["order"], sort_target=r["target"], keys_only=r["keys_only"], count_only=r["count_only"],
        serializable=r["serializable"], min_mod_revision=bounds[0], max_mod_revision=bounds[1],
        min_create_revision=bounds[2], max_create_revision=bounds[3],
    )  # fmt: skip


def put_request(r: dict[str, Any], now: int, *, safe: bool = False) -> Message:
    ignore = "" if safe else r["ignore"]
    return rpc_pb2.PutRequest(
        key=r["key"], value=r["value"], lease=r["lease"], prev_kv=r["prev_kv"],
        ignore_value=ignore in ("value", "both"), ignore_lease=ignore in ("lease", "both"),
    )  # fmt: skip


def delete_request(r: dict[str, Any], now: int) -> Message:
    return rpc_pb2.DeleteRangeRequest(key=r["span"][0], range_end=r["span"][1], prev_kv=r["prev_kv"])


def compare_message(c: dict[str, Any], now: int) -> Message:
    compare = rpc_pb2.Compare(
        result=c["result"], target=(0, 1, 2, 3, 4)[c["target"]], key=c["span"][0], range_end=c["span"][1]
    )
    match c["target"]:
        case 0:
            compare.version = c["number"]
        case 1:
            compare.create_revision = _at(now, c["back"])
        case 2:
            compare.mod_revision = _at(now, c["back"])
        case 3:
            compare.value = c["value"]
        case 4:
            compare.lease = c["number"] + 3
    return compare


def txn_request(t: dict[str, Any], now: int) -> Message:
    """A put that ignores beside a deletion would make the real etcd panic: it is made a plain one."""
    request = rpc_pb2.TxnRequest(compare=[compare_message(c, now) for c in t["compare"]])
    for name in ("success", "failure"):
        for kind, r in t[name]:
            op = getattr(request, name).add()
            match kind:
                case "range":
                    op.request_range.CopyFrom(range_request(r, now))
                case "put":
                    op.request_put.CopyFrom(put_request(r, now, safe=True))
                case "delete_range":
                    op.request_delete_range.CopyFrom(delete_request(r, now))
                case "txn":
                    op.request_txn.CopyFrom(txn_request(r, now))
    return request


class Ours:
    """Our service, called as Client calls the real one."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.service = Service(Store(self.loop), self.loop)
        self.names = {method.name: name for name, method in METHODS.values()}

    def call(self, method: str, request: Message) -> Any:
        copy = type(request)()
        copy.CopyFrom(request)
        try:
            return self.service.call(self.names[method], copy)
        except EtcdError as error:
            return error.code, error.message


class RealWatches:
    """A watch stream to the real etcd; answers are kept in the order they came."""

    def __init__(self, client: Client):
        self._requests: queue.Queue[Message | None] = queue.Queue()
        self._lock = threading.Condition()
        self.responses: list[Message] = []
        self._stream = client.watches.Watch(iter(self._requests.get, None))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(Exception):
            for response in self._stream:
                with self._lock:
                    self.responses.append(response)
                    self._lock.notify_all()

    def send(self, request: Message) -> None:
        self._requests.put(request)

    def wait_for(self, enough: Any) -> None:
        with self._lock:
            self._lock.wait_for(lambda: enough(self.responses), WAIT)

    def close(self) -> None:
        self._requests.put(None)
        self._stream.cancel()
        self._thread.join()


def story(responses: list[Message]) -> dict[int, list[Any]]:
    """What each watch was told: control answers and events; how events were cut into answers is left open."""
    told: dict[int, list[Any]] = {}
    for r in responses:
        watch = told.setdefault(r.watch_id, [])
        if r.created or r.canceled:
            revision = r.header.revision if r.created else None
            watch.append((r.created, r.canceled, r.compact_revision, r.cancel_reason, revision))
        watch.extend(event.SerializeToString(deterministic=True) for event in r.events)
    return told


def plain(answer: Any) -> Any:
    """An answer without ids and times."""
    if isinstance(answer, tuple):
        return answer
    copy = type(answer)()
    copy.CopyFrom(answer)
    copy.header.cluster_id = copy.header.member_id = 0
    name = copy.DESCRIPTOR.name
    if name == "LeaseTimeToLiveResponse":
        copy.TTL = min(copy.TTL, 0)
        ordered = sorted(copy.keys)
        del copy.keys[:]
        copy.keys.extend(ordered)
    if name == "LeaseLeasesResponse":
        ids = sorted(lease.ID for lease in copy.leases)
        del copy.leases[:]
        for id in ids:
            copy.leases.add(ID=id)
    return copy


class Machine(RuleBasedStateMachine):
    """`client` and `ours` are set by `machine`."""

    client: Client
    ours: Ours
    counts: dict[str, int]
    differences: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.real_watches: RealWatches | None = None
        self.our_responses: list[Message] = []
        self.our_watches: WatchStream | None = None
        self.began: dict[int, int] = {}
        """Watches that began in the past, with where."""

    @property
    def now(self) -> int:
        return self.ours.service.store.revision

    def both(self, method: str, request: Message) -> None:
        if self.differences:
            return
        self.counts["operations"] = self.counts.get("operations", 0) + 1
        real, ours = plain(self.client.call(method, request)), plain(self.ours.call(method, request))
        self._same(ours, real, f"{method}\n{request}")

    def _same(self, ours: Any, real: Any, what: str) -> None:
        """Only the first difference tells anything: after it both sides go on from different states."""
        if ours != real and not self.differences:
            self.differences.append(f"{what}\nours:\n{ours}\nreal:\n{real}")

    @initialize()
    def empty(self) -> None:
        self.both("DeleteRange", rpc_pb2.DeleteRangeRequest(key=b"\0", range_end=b"\0"))
        for id in (7, 8, 9):
            self.both("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=id))

    @rule(r=ranges)
    def range(self, r: dict[str, Any]) -> None:
        self.both("Range", range_request(r, self.now))

    @rule(r=puts)
    def put(self, r: dict[str, Any]) -> None:
        request = put_request(r, self.now)
        if request.ignore_value and r["value"] != b"1":
            request.value = b""
        self.both("Put", request)

    @rule(r=deletes)
    def delete(self, r: dict[str, Any]) -> None:
        self.both("DeleteRange", delete_request(r, self.now))

    @rule(t=transactions)
    def txn(self, t: dict[str, Any]) -> None:
        self.both("Txn", txn_request(t, self.now))

    @rule(back=st.integers(-1, MAX_BACK))
    def compact(self, back: int) -> None:
        self._same_story()
        revision, told = _at(self.now, back), {r.watch_id for r in self.our_responses if r.events}
        live = self.our_watches.watches if self.our_watches else {}
        if any(start < revision for id, start in self.began.items() if id in live and id not in told):
            return  # whether the real one has looked at the past for such a watch by now, nobody can tell
        self.both("Compact", rpc_pb2.CompactionRequest(revision=revision, physical=True))

    @rule(id=st.sampled_from([7, 8, 9]), ttl=st.sampled_from([3600, 7200, 9_000_000_001]))
    def grant(self, id: int, ttl: int) -> None:
        self.both("LeaseGrant", rpc_pb2.LeaseGrantRequest(ID=id, TTL=ttl))

    @rule(id=st.sampled_from([7, 8, 9]))
    def revoke(self, id: int) -> None:
        self.both("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=id))

    @rule(id=st.sampled_from([7, 8, 9]), keys=flags)
    def time_to_live(self, id: int, keys: bool) -> None:
        self.both("LeaseTimeToLive", rpc_pb2.LeaseTimeToLiveRequest(ID=id, keys=keys))
        self.both("LeaseLeases", rpc_pb2.LeaseLeasesRequest())

    # --- watches --------------------------------------------------------------------------------------------
    def _watch(self, request: Message) -> None:
        if self.differences:
            return
        self.counts["operations"] = self.counts.get("operations", 0) + 1
        if self.our_watches is None:
            self.our_watches = WatchStream(self.ours.service, self.our_responses.append)
            self.real_watches = RealWatches(self.client)
        assert self.real_watches
        self.real_watches.send(request)
        copy = type(request)()
        copy.CopyFrom(request)
        self.our_watches.receive(copy)
        self._same_story()

    @rule(
        span=spans, back=backs, prev_kv=flags, id=st.sampled_from([0, 0, 0, 5]),
        filters=st.sampled_from([[], [], [0], [1], [0, 1]]), fragment=flags,
    )  # fmt: skip
    def watch(
        self, span: tuple[bytes, bytes], back: int | None, prev_kv: bool, id: int, filters: list[int], fragment: bool
    ) -> None:
        create = rpc_pb2.WatchCreateRequest(
            key=span[0], range_end=span[1], start_revision=_at(self.now, back), prev_kv=prev_kv, watch_id=id,
            filters=filters, fragment=fragment,
        )  # fmt: skip
        self._watch(rpc_pb2.WatchRequest(create_request=create))
        made = self.our_responses[-1] if self.our_responses else None
        if 0 < create.start_revision <= self.now and made and not made.canceled:
            self.began[made.watch_id] = create.start_revision

    @rule(id=small)
    def cancel(self, id: int) -> None:
        self._same_story()
        self._watch(rpc_pb2.WatchRequest(cancel_request=rpc_pb2.WatchCancelRequest(watch_id=id)))

    def _same_story(self) -> None:
        """Wait until the real etcd has told its watches all that ours has, then compare."""
        if self.real_watches is None or self.differences:
            return
        ours = story(self.our_responses)

        def enough(responses: list[Message]) -> bool:
            real = story(responses)
            return all(len(real.get(id, ())) >= len(told) for id, told in ours.items())

        self.real_watches.wait_for(enough)
        self._same(ours, story(self.real_watches.responses), "watches")

    def teardown(self) -> None:
        try:
            self._same_story()
        finally:
            if self.real_watches:
                self.real_watches.close()
            if self.our_watches:
                self.our_watches.close()


@contextlib.contextmanager
def machine(address: str) -> Iterator[type[Machine]]:
    """A state machine that compares the real etcd at `address` with a new one of ours."""
    client = Client(address)
    try:
        yield type("Bound", (Machine,), {"client": client, "ours": Ours(), "counts": {}, "differences": []})
    finally:
        client.close()


def run(address: str, examples: int, steps: int, *, derandomize: bool) -> int:
    """Play `examples` times `steps` operations; returns how many operations were compared."""
    with machine(address) as bound:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            bound,
            settings=settings(
                phases=[Phase.generate], max_examples=examples, stateful_step_count=steps, deadline=None,
                derandomize=derandomize,
                database=None, suppress_health_check=list(HealthCheck), print_blob=False,
            ),
        )  # fmt: skip
        assert not bound.differences, bound.differences[0]
        return bound.counts["operations"]
