"""Several members: elections, a lost quorum, a slow follower, and histories under faults that stay linearizable."""

from typing import Any

import linear
import orjson
import pytest
from aetcd.rpc import rpc_pb2

from conftest import MakeCluster
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.request import Request, User
from k8s_core.clock import Loop
from k8s_core.etcd import state
from k8s_core.etcd.group import Group, GroupStore
from k8s_core.etcd.store import Compare, EtcdError, Put


def put(group: Group, id: int, key: bytes, value: bytes) -> Any:
    """What member `id` answers to a put, after at most ten seconds."""
    answers: list[Any] = []
    group.nodes[id].call("put", rpc_pb2.PutRequest(key=key, value=value), answers.append)
    group.loop.advance(10)
    return answers[0]


def test_two_hundred_histories_under_faults_are_linearizable() -> None:
    """Members killed, cut off and slowed down: whatever clients saw could have happened one after another."""
    assert sum(linear.run(seed, seconds=6.0) for seed in range(200)) > 3_000


def test_the_same_seed_gives_the_same_history() -> None:
    """Elections, terms and logs are the same, byte for byte."""

    def play() -> list[Any]:
        loop = Loop(0, 1)
        group = Group(loop, seed=7)
        loop.advance(3)
        put(group, 1, b"a", b"1")
        return [(node.disk.term, node.disk.vote, node.disk.entries) for node in group.nodes.values()]

    assert play() == play()


def test_the_checker_finds_a_stale_read() -> None:
    """A read that misses a write which ended before it began is not let through."""
    history = [
        linear.Op("put", b"x", b"1", b"", 0, 1, True),
        linear.Op("get", b"x", b"", b"", 2, 3, b""),
    ]
    assert not linear.linearizable(history)


def test_without_a_quorum_writes_and_reads_time_out() -> None:
    """One of three answers serializable reads only; when a second is back, all is well and nothing is lost."""
    loop = Loop(0, 3)
    group = Group(loop, seed=3)
    loop.advance(3)
    assert group.leader
    assert put(group, 1, b"k", b"before").header.revision == 2
    for id in (1, 2):
        group.nodes[id].kill()
    refused = put(group, 3, b"k", b"lost")
    assert isinstance(refused, EtcdError) and refused.message == "etcdserver: request timed out"
    answers: list[Any] = []
    group.nodes[3].call("range", rpc_pb2.RangeRequest(key=b"k", serializable=True), answers.append)
    assert answers[0].kvs[0].value == b"before"
    group.nodes[1].start()
    loop.advance(5)
    assert put(group, 1, b"k", b"after").header.revision in (3, 4)


def test_a_new_leader_is_found_when_the_old_one_is_cut_off() -> None:
    """The old leader steps down; what it could not commit is gone when it comes back."""
    loop = Loop(0, 4)
    group = Group(loop, seed=4)
    loop.advance(3)
    old = group.leader
    assert old
    group.isolate(old.id)
    loop.advance(5)
    new = group.leader
    assert new and new.id != old.id and not old.leads and new.disk.term > old.disk.term
    assert put(group, new.id, b"k", b"v").header.revision == 2
    group.heal()
    loop.advance(3)
    assert state.dump(old.service) == state.dump(new.service)


def test_a_slow_follower_gets_a_snapshot() -> None:
    """Who missed more than the log still holds is given the whole state."""
    loop = Loop(0, 5)
    group = Group(loop, seed=5, snapshot_count=10)
    loop.advance(3)
    leader = group.leader
    assert leader
    slow = next(node for node in group.nodes.values() if node is not leader)
    slow.kill()
    for number in range(30):
        leader.call("put", rpc_pb2.PutRequest(key=b"k%d" % (number % 3), value=b"%d" % number), lambda answer: None)
        loop.advance(0.1)
    assert leader.disk.first > 10
    slow.start()
    loop.advance(3)
    assert slow.disk.first > 10 and state.dump(slow.service) == state.dump(leader.service)


def test_a_store_on_a_group_is_a_store_that_needs_a_quorum() -> None:
    """What the apiserver uses: guarded writes, watches and leases, refused while two of three are dead."""
    loop = Loop(0, 6)
    group = Group(loop, latency=None)
    store, seen = GroupStore(group), []
    store.watch(b"a", b"c", seen.append)
    assert store.txn([Compare(b"a", "mod", "=", 0)], [Put(b"a", b"1")]).succeeded
    assert not store.txn([Compare(b"a", "mod", "=", 0)], [Put(b"a", b"2")]).succeeded
    lease = store.lease_grant(60)
    store.txn([], [Put(b"b", b"x", lease.id)])
    assert [event.kv.key for events in seen for event in events] == [b"a", b"b"]
    group.nodes[2].kill()
    group.nodes[3].kill()
    with pytest.raises(EtcdError, match="request timed out"):
        store.txn([], [Put(b"a", b"3")])
    group.nodes[2].start()
    loop.advance(10)
    store.txn([], [Put(b"a", b"4")])
    loop.advance(70)
    assert store.get(b"b") is None and lease.id not in store.leases
    assert group.leader and list(group.leader.service.store.live()) == list(store.live())


def test_a_cluster_on_three_members(make_cluster: MakeCluster) -> None:
    """The cluster works on a group; without a quorum nothing can be written, and with one again all goes on."""
    cluster = make_cluster(
        profile="bare",
        scheduler=False,
        kubelets=False,
        etcd_members=3,
        token_users={"t": User("root", ("system:masters",))},
    )
    client = cluster.client()
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    client.create("configmaps", config, "default")
    group = cluster.etcd.group  # type: ignore[attr-defined]
    group.nodes[1].kill()
    group.nodes[2].kill()
    with pytest.raises(StatusError) as refused:
        client.create("configmaps", {**config, "metadata": {"name": "b"}}, "default")
    assert refused.value.status["message"] == "etcdserver: request timed out"
    assert client.get("configmaps", "a", "default")  # a component's cache
    where: Any = {
        "method": "GET",
        "path": "/api/v1/namespaces/default/configmaps/a",
        "headers": {"authorization": "Bearer t"},
    }
    read = cluster.apiserver.handle(Request(**where))
    assert (read.code, read.object["message"]) == (500, "etcdserver: request timed out")
    assert cluster.apiserver.handle(Request(**where, query={"resourceVersion": ["0"]})).code == 200
    group.nodes[1].start()
    cluster.advance("10s")
    assert client.create("configmaps", {**config, "metadata": {"name": "b"}}, "default")
    assert list(group.leader.service.store.live()) == list(cluster.etcd.live())
    assert cluster.apiserver.handle(Request(**where)).code == 200


def test_clients_of_a_group_see_its_members_users_and_leases() -> None:
    """What a client asks goes to the members: lists, users and reads are theirs, and fail with them."""
    group = Group(Loop(0, 6), latency=None)
    store = GroupStore(group)
    service = store.service()
    assert [m.name for m in service.call("member_list", rpc_pb2.MemberListRequest()).members] == ["m1", "m2", "m3"]
    service.call("user_add", rpc_pb2.AuthUserAddRequest(name="joe", password="p"))
    assert service.call("user_list", rpc_pb2.AuthUserListRequest()).users == ["joe"]
    service.call("lease_grant", rpc_pb2.LeaseGrantRequest(ID=4, TTL=60))
    service.call("put", rpc_pb2.PutRequest(key=b"k", value=b"v", lease=4))
    read = rpc_pb2.RangeRequest(key=b"k")
    assert service.call("range", read).kvs[0].value == b"v"
    group.loop.advance(61)
    assert not service.call("range", read).kvs and not store.leases
    for id in (1, 2):
        group.nodes[id].kill()
    with pytest.raises(EtcdError, match="request timed out"):
        service.call("range", read)
    assert service.call("range", rpc_pb2.RangeRequest(key=b"k", serializable=True)).count == 0


def test_api_2_is_agreed_on_like_api_3() -> None:
    """Every member has the same tree, one that was away too; keys end everywhere at once; without a quorum no write."""
    group = Group(Loop(0, 8), latency=None, snapshot_count=10)
    service = GroupStore(group).service()

    def ask(method: str, path: str, **form: str) -> tuple[int, Any]:
        answer = service.v2.ask(method, path, form)
        return answer.status, orjson.loads(answer.body)

    def trees() -> set[bytes]:
        alive = [node.service for node in group.nodes.values() if node.alive]
        return {orjson.dumps(orjson.loads(state.dump(each)[:-32])["tree"]) for each in alive}

    assert ask("PUT", "/a", value="1")[0] == 201
    assert ask("PUT", "/a", value="2", prevValue="1")[1]["action"] == "compareAndSwap"
    assert ask("PUT", "/a", value="3", prevValue="1")[1]["message"] == "Compare failed"
    ask("PUT", "/short", value="x", ttl="5")
    group.nodes[3].kill()
    for number in range(20):
        assert ask("POST", "/queue", value=str(number))[0] == 201
    group.nodes[3].start()
    group.loop.advance(3)
    assert len(trees()) == 1 and ask("GET", "/short")[0] == 200
    group.loop.advance(5)
    assert ask("GET", "/short")[0] == 404 and len(trees()) == 1
    assert len(ask("GET", "/queue")[1]["node"]["nodes"]) == 20
    group.nodes[1].kill()
    group.nodes[2].kill()
    refused = {"errorCode": 300, "message": "Raft Internal Error", "cause": "etcdserver: request timed out", "index": 0}
    assert ask("PUT", "/a", value="4") == (500, refused) and ask("GET", "/a")[1]["node"]["value"] == "2"
