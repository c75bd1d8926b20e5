"""The v3 key space: exact revisions, history, transactions, leases, watches and compaction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.clock import Loop
from k8s_core.etcd.store import Compare, DeleteRange, EtcdError, Event, KeyValue, Put, Store, prefix_end


def test_revisions_versions_and_history() -> None:
    """A key counts its versions, a deletion starts it anew, and each past revision can still be read."""
    store = Store()
    assert store.put(b"a", b"1") is None
    assert store.put(b"a", b"2") == KeyValue(b"a", b"1", 2, 2, 1)
    assert store.get(b"a") == KeyValue(b"a", b"2", 2, 3, 2)
    assert [kv.value for kv in store.delete_range(b"a")] == [b"2"]
    assert store.get(b"a") is None and store.revision == 4
    store.put(b"a", b"3")
    assert store.get(b"a") == KeyValue(b"a", b"3", 5, 5, 1)
    assert [kv.value for kv in store.range(b"a", revision=2).kvs] == [b"1"]
    assert store.range(b"a", revision=4).kvs == []


def test_range_counts_what_a_limit_hides() -> None:
    """Keys come in order; count tells of all, more tells that there are some left."""
    store = Store()
    for name in (b"/b", b"/a", b"/c", b"x"):
        store.put(name, b"")
    result = store.range(b"/", prefix_end(b"/"), limit=2)
    assert [kv.key for kv in result.kvs] == [b"/a", b"/b"]
    assert (result.count, result.more, result.revision) == (3, True, 5)
    past = store.range(b"/", prefix_end(b"/"), revision=3)
    assert [kv.key for kv in past.kvs] == [b"/a", b"/b"]


def test_a_transaction_is_one_revision() -> None:
    """All writes of a transaction share a revision; a failed guard runs the other branch."""
    store = Store()
    done = store.txn([Compare(b"a", "mod", "=", 0)], [Put(b"a", b"1"), Put(b"b", b"2")])
    assert done.succeeded and store.revision == 2
    assert store.get(b"a").mod_revision == store.get(b"b").mod_revision == 2  # type: ignore[union-attr]
    failed = store.txn([Compare(b"a", "version", ">", 1)], [DeleteRange(b"a")], [])
    assert not failed.succeeded and store.revision == 2 and store.get(b"a") is not None


def test_the_past_stays_as_it_was_within_a_transaction() -> None:
    """Who has written in a transaction, and reads at the revision before it, does not find the writes."""
    store = Store()
    store.put(b"a", b"1")
    before = store.revision
    with store.write() as txn:
        txn.put(b"b", b"2")
        assert [kv.key for kv in store.range(b"a", b"c").kvs] == [b"a", b"b"]
        then = store.range(b"a", b"c", revision=before)
        assert ([kv.key for kv in then.kvs], then.count) == ([b"a"], 1)


def test_comparing_the_value_of_a_missing_key_fails() -> None:
    """As in etcd, a key that is not there has no value, not even an empty one."""
    assert not Store().txn([Compare(b"a", "value", "=", b"")], []).succeeded


def test_a_watch_sees_the_past_then_the_present_in_order() -> None:
    """From a start revision on, every event once, one call a revision, deletions as tombstones."""
    store, seen = Store(), []
    store.put(b"/a", b"1")
    store.put(b"/a", b"2")
    watcher = store.watch(b"/", prefix_end(b"/"), seen.append, start_revision=3)
    store.txn([], [Put(b"/b", b"1"), DeleteRange(b"/a"), Put(b"other", b"")])
    watcher.cancel()
    store.put(b"/a", b"3")
    assert [[(event.type, event.kv.key, event.kv.mod_revision) for event in events] for events in seen] == [
        [("PUT", b"/a", 3)],
        [("PUT", b"/b", 4), ("DELETE", b"/a", 4)],
    ]
    assert seen[1][1] == Event("DELETE", KeyValue(b"/a", b"", 0, 4, 0), KeyValue(b"/a", b"2", 2, 3, 2))


def test_compaction_keeps_the_newest_and_refuses_the_past() -> None:
    """After a compaction reads and watches below it fail in etcd's words; the present is untouched."""
    store = Store()
    for value in (b"1", b"2", b"3"):
        store.put(b"a", value)
    store.put(b"gone", b"x")
    store.delete_range(b"gone")
    store.compact(4)
    assert store.range(b"a", revision=4).kvs[0].value == b"3"
    with pytest.raises(EtcdError, match="mvcc: required revision has been compacted"):
        store.range(b"a", revision=3)
    with pytest.raises(EtcdError, match="compacted"):
        store.watch(b"a", b"", lambda _: None, start_revision=3)
    with pytest.raises(EtcdError, match="compacted"):
        store.compact(4)
    with pytest.raises(EtcdError, match="future revision"):
        store.compact(99)
    with pytest.raises(EtcdError, match="future revision"):
        store.range(b"a", revision=99)


def test_a_lease_takes_its_keys_with_it() -> None:
    """Keys go when their lease ends; keeping it alive saves them; a put without it lets go."""
    loop = Loop()
    store = Store(loop)
    lease = store.lease_grant(10)
    store.put(b"kept", b"", lease.id)
    store.put(b"lost", b"", lease.id)
    store.put(b"kept", b"")
    loop.advance(8)
    store.lease_keep_alive(lease.id)
    loop.advance(8)
    assert store.get(b"lost") and store.lease_time_to_live(lease.id) == 2
    loop.advance(3)
    assert store.get(b"lost") is None and store.get(b"kept")
    with pytest.raises(EtcdError, match="requested lease not found"):
        store.put(b"x", b"", lease.id)


KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
OPS = st.lists(
    st.one_of(st.builds(Put, KEYS, st.binary(max_size=2), st.just(0)), st.builds(DeleteRange, KEYS)), max_size=30
)


@given(OPS)
def test_every_past_revision_reads_as_it_was(ops: list[Put | DeleteRange]) -> None:
    """Whatever was written since, a read at a revision gives what a read then gave, and a watch replays it."""
    store, then = Store(), {1: []}
    for op in ops:
        store.txn([], [op])
        then[store.revision] = list(store.live())
    for revision, kvs in then.items():
        assert store.range(b"a", b"z", revision=revision).kvs == kvs
    replayed: dict[bytes, KeyValue] = {}
    for event in store.events_since(2):
        if event.type == "PUT":
            replayed[event.kv.key] = event.kv
        else:
            del replayed[event.kv.key]
    assert sorted(replayed.values()) == list(store.live())
