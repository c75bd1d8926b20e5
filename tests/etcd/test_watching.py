"""What etcd promises of a watch, as properties over random writes, and the corners of its stream."""

from typing import Any

from aetcd.rpc import rpc_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from k8s_core.clock import Loop
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Event, KeyValue, Store, prefix_end, within
from k8s_core.etcd.watchers import Watchers
from k8s_core.etcd.watching import WatchStream
from k8s_core.limits import ETCD_MAX_REQUEST_BYTES

KEYS = st.sampled_from([b"a/1", b"a/2", b"a/3", b"b"])
WRITES = st.lists(
    st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=3, unique_by=lambda w: w[0]), max_size=25
)


def service() -> Service:
    loop = Loop()
    return Service(Store(loop), loop)


def write(on: Service, changes: list[tuple[bytes, bool]]) -> None:
    request = rpc_pb2.TxnRequest()
    for key, put in changes:
        if put:
            request.success.add(request_put=rpc_pb2.PutRequest(key=key, value=b"v"))
        else:
            request.success.add(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))
    on.call("txn", request)


def create(**fields: Any) -> Any:
    return rpc_pb2.WatchRequest(create_request=rpc_pb2.WatchCreateRequest(**fields))


def watch(on: Service, **fields: Any) -> list[Any]:
    """The responses of a new stream with one watch on a/."""
    seen: list[Any] = []
    WatchStream(on, seen.append).receive(create(key=b"a/", range_end=prefix_end(b"a/"), **fields))
    return seen


def events(responses: list[Any]) -> list[tuple[int, bytes, int]]:
    return [(e.kv.mod_revision, e.kv.key, e.type) for r in responses for e in r.events]


@settings(max_examples=60, deadline=None)
@given(before=WRITES, after=WRITES, back=st.integers(1, 30))
def test_ordered_unique_atomic_reliable(before: list[Any], after: list[Any], back: int) -> None:
    """From any revision on: every event once, in order, a revision never torn, none missing, whenever it began."""
    one = service()
    whole = watch(one, start_revision=1)
    for changes in before:
        write(one, changes)
    start = max(one.store.revision - back, 1)
    late = watch(one, start_revision=start)
    for changes in after:
        write(one, changes)
    everything = events(whole)
    assert everything == sorted(everything, key=lambda e: e[0]) and len(set(everything)) == len(everything)
    assert events(late) == [e for e in everything if e[0] >= start]
    for response in late:
        revisions = [e.kv.mod_revision for e in response.events]
        others = [e.kv.mod_revision for r in late if r is not response for e in r.events]
        assert not set(revisions) & set(others)
    log = [(e.kv.mod_revision, e.kv.key) for e in one.store.events_since(1) if e.kv.key.startswith(b"a/")]
    assert [e[:2] for e in everything] == log


@settings(max_examples=40, deadline=None)
@given(writes=WRITES, cut=st.integers(0, 25))
def test_resumable_and_bookmarkable(writes: list[Any], cut: int) -> None:
    """Who goes on after the last revision seen, or after a progress report's, misses nothing and sees nothing twice."""
    one = service()
    first = watch(one, start_revision=1)
    stream: list[Any] = []
    reporting = WatchStream(one, stream.append)
    for changes in writes[:cut]:
        write(one, changes)
    seen = events(first)
    reporting.receive(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
    bookmark = stream[-1].header.revision
    assert stream[-1].watch_id == -1 and bookmark >= max([e[0] for e in seen], default=0)
    for changes in writes[cut:]:
        write(one, changes)
    resumed = watch(one, start_revision=bookmark + 1)
    assert seen + events(resumed) == events(first)


@settings(max_examples=40, deadline=None)
@given(writes=WRITES)
def test_filters_and_previous_values(writes: list[Any]) -> None:
    """A filtered watch sees the rest; prev_kv is what stood there before; the first answer is created."""
    one = service()
    puts, deletes = watch(one, filters=[1], prev_kv=True), watch(one, filters=[0])
    for changes in writes:
        write(one, changes)
    assert puts[0].created and not puts[0].events and {e[2] for e in events(puts)} <= {0}
    assert {e[2] for e in events(deletes)} <= {1}
    for response in puts[1:]:
        for event in response.events:
            before = one.store.range(event.kv.key, revision=event.kv.mod_revision - 1).kvs
            assert event.HasField("prev_kv") == bool(before)
            assert not before or event.prev_kv.mod_revision == before[0].mod_revision


BYTES = st.binary(max_size=2).map(lambda key: b"a" + key) | st.sampled_from([b"\0", b"\xff", b"\xff\xff"])
SPANS = st.tuples(BYTES, BYTES.map(prefix_end) | BYTES | st.sampled_from([b"", b"\0"]))


@given(
    spans=st.lists(SPANS | BYTES.map(lambda key: (key, prefix_end(key)))), keys=st.lists(BYTES), gone=st.integers(0, 9)
)
def test_an_event_finds_its_watchers(spans: list[tuple[bytes, bytes]], keys: list[bytes], gone: int) -> None:
    """Each watch hears of the keys in its range and no others, once, in the order in which they began."""
    watchers, heard = Watchers(), []
    made = [
        watchers.add(*span, lambda events, n=number: heard.extend((n, e.kv.key) for e in events))  # type: ignore[misc]
        for number, span in enumerate(spans)
    ]
    for watcher in made[:gone]:
        watcher.cancel()
    watchers.notify(Event("PUT", KeyValue(key, b"", 2, 2, 1), None) for key in keys)
    assert heard == [(n, key) for n, span in list(enumerate(spans))[gone:] for key in keys if within(key, *span)]


def test_a_large_revision_is_cut_into_fragments() -> None:
    """With `fragment` no response is larger than a request may be, and only the last one is not marked."""
    one = service()
    for number in range(3):
        one.call("put", rpc_pb2.PutRequest(key=b"a/%d" % number, value=b"x" * 900_000))
    seen = watch(one, start_revision=1, fragment=True)[1:]
    assert [r.fragment for r in seen] == [True, True, False]
    assert all(r.ByteSize() <= ETCD_MAX_REQUEST_BYTES for r in seen) and len(events(seen)) == 3


def test_progress_is_reported_to_quiet_watches_only() -> None:
    """With progress_notify an empty answer comes every ten minutes, unless an event came meanwhile."""
    one = service()
    seen = watch(one, progress_notify=True)
    one.loop.advance(one.options.watch_progress_notify_interval)
    assert [(len(r.events), r.created) for r in seen[1:]] == [(0, False)]
    write(one, [(b"a/1", True)])
    one.loop.advance(one.options.watch_progress_notify_interval)
    assert [len(r.events) for r in seen[1:]] == [0, 1]
    one.loop.advance(one.options.watch_progress_notify_interval)
    assert [len(r.events) for r in seen[1:]] == [0, 1, 0]
