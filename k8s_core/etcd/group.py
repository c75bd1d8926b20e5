"""An etcd of several members on one loop: their network, their disks, and what breaks when a learner breaks it.

Each member is a Service on a store of its own, and Raft (raft.py) agrees on what is applied to all. Members can be
killed, started again and cut off from each other. A request to a member that hears no leader fails, as in etcd, with
"etcdserver: request timed out". With `latency` None messages take no time: a request is answered at once or not at
all, which is how a cluster's apiserver uses it (GroupStore).
"""

import contextlib
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop, Timer
from k8s_core.etcd import state
from k8s_core.etcd.kv import KV, txn_to_pb
from k8s_core.etcd.members import Members
from k8s_core.etcd.raft import LEADER, Disk, Entry, Member, Message
from k8s_core.etcd.service import WRITES, Service
from k8s_core.etcd.store import Compare, EtcdError, Lease, Op, Store, TxnResult
from k8s_core.etcd.tree import Tree
from k8s_core.etcd.tree_hub import Event, TreeError
from k8s_core.etcd.v2 import V2, KeyRequest
from k8s_core.etcd.v2 import apply as apply_v2
from k8s_core.etcd.wal import decode, encode
from k8s_core.limits import ETCD_EXPIRY_RETRY, ETCD_REQUEST_TIMEOUT, ETCD_SNAPSHOT_COUNT, ETCD_TICK

Answer = Any
"""A response message, or the EtcdError instead of it."""


def timed_out() -> EtcdError:
    return EtcdError("UNAVAILABLE", "etcdserver: request timed out")


class Node:
    """One member: alive or dead, with a disk that stays."""

    def __init__(self, group: "Group", id: int):
        self.group, self.id, self.disk = group, id, Disk()
        self.alive = False
        self.service: Service
        self.raft: Member
        self._waiting: dict[int, Callable[[Answer], None]] = {}
        self._reads: dict[int, Callable[[int], None]] = {}
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._timer: Timer | None = None
        self.start()

    def start(self) -> None:
        if self.alive:
            return
        self.alive, loop = True, self.group.loop
        self._fresh()
        self.raft = Member(
            self.id, self.group.ids, self.disk, self.group.dice,
            send=self.group.carry, apply=self._apply, restore=self._restore, on_read=self._read_index,
        )  # fmt: skip
        self._timer = loop.every(ETCD_TICK, self._tick)

    def _fresh(self) -> None:
        store = Store()  # without a loop: leases end when the group says so, not by a member's own clock
        members = Members(store, id=self.id)
        members.members = {
            id: rpc_pb2.Member(
                ID=id, name=f"m{id}", peerURLs=[f"http://10.0.1.{id}:2380"], clientURLs=[f"http://10.0.1.{id}:2379"]
            )
            for id in self.group.ids
        }
        self.service = Service(store, self.group.loop, members)
        self.service.tree.on_expired = self._sync_tree

    def kill(self) -> None:
        """The process dies; its disk stays."""
        self.alive = False
        if self._timer:
            self._timer.cancel()
        self._waiting, self._reads, self._later = {}, {}, []

    @property
    def leads(self) -> bool:
        return self.alive and self.raft.role == LEADER

    def _tick(self) -> None:
        if self.alive:
            self.raft.tick()
            self.group.pump()

    def _sync_tree(self) -> None:
        """The time of keys in API 2 is up: the leader has it agreed on; there may be none yet."""
        if not self.alive or not self.service.tree.overdue():
            return
        if self.leads:
            self.call("v2", KeyRequest.sync(self.group.loop.now), lambda answer: None)
        self.group.loop.call_later(ETCD_EXPIRY_RETRY, self._sync_tree, background=True)

    # --- requests -------------------------------------------------------------------------------------------
    def call(self, name: str, request: Any, done: Callable[[Answer], None], token: str = "") -> None:
        """Answer one request, some time later; in the end with an error that leaves open what happened.

        "v2" is a write of API 2: its answer is an event, or a TreeError.
        """
        if not self.alive:
            done(EtcdError("UNAVAILABLE", "connection refused"))
            return
        try:
            write = name == "v2" or name in WRITES
            if name != "v2":
                self.service.prepare(name, request, token)
        except EtcdError as error:
            done(error)
            return
        number = next(self.group.numbers)
        once = _Once(done, self.group.loop.call_later(ETCD_REQUEST_TIMEOUT, lambda: once(timed_out()), background=True))
        if write:
            self._waiting[number] = once
            self._to_leader(Entry(0, self.id, number, name, encode(name, request)))
        elif getattr(request, "serializable", False):
            once(self.answer(name, request))
        else:
            self._reads[number] = lambda index: self._when(index, lambda: once(self.answer(name, request)))
            if self.leads:
                self.raft.read(self.id, number)
            elif self.raft.leader:
                self.group.carry(Message("read", self.disk.term, self.id, self.raft.leader, context=(number, 0)))
        self.group.pump()

    def _to_leader(self, entry: Entry) -> None:
        if self.leads:
            self.raft.propose(entry)
        elif self.raft.leader:
            self.group.carry(Message("propose", self.disk.term, self.id, self.raft.leader, entries=(entry,)))

    def answer(self, name: str, request: Any) -> Answer:
        """From this member's state as it is."""
        self.service.members.term, self.service.members.leader = self.disk.term, self.raft.leader
        self.service.members.index = self.raft.applied
        try:
            return self.service._fill(self.service.apply(name, request))
        except EtcdError as error:
            return error

    def _when(self, index: int, then: Callable[[], None]) -> None:
        if self.raft.applied >= index:
            then()
        else:
            self._later.append((index, then))

    def _read_index(self, number: int, index: int) -> None:
        if waiting := self._reads.pop(number, None):
            waiting(index)

    # --- what was agreed on ---------------------------------------------------------------------------------
    def _apply(self, index: int, entry: Entry) -> None:
        answer: Answer = None
        if entry.name:
            self.service.members.term, self.service.members.index = entry.term, index
            try:
                answer = self.service.apply(entry.name, decode(entry.name, entry.data))
                answer = answer if entry.name == "v2" else self.service._fill(answer)
            except (EtcdError, TreeError) as error:
                answer = error
        self.group.applied(index, entry)
        if entry.origin == self.id and (done := self._waiting.pop(entry.number, None)):
            done(answer)
        due = [then for at, then in self._later if at <= index]
        self._later = [(at, then) for at, then in self._later if at > index]
        for then in due:
            then()
        if index - self.disk.first >= self.group.snapshot_count:
            self.group.loop.call_soon(self._compact)

    def _compact(self) -> None:
        if self.alive:
            self.raft.compact(lambda: state.dump(self.service))

    def _restore(self, snapshot: bytes) -> None:
        self._fresh()
        state.load(self.service, snapshot)


class _Once:
    """Passes the first answer on."""

    def __init__(self, done: Callable[[Answer], None], timer: Timer):
        self._done: Callable[[Answer], None] | None = done
        self._timer = timer

    def __call__(self, answer: Answer) -> None:
        done, self._done = self._done, None
        if done:
            self._timer.cancel()
            done(answer)


class Group:
    """`size` members. `latency` bounds a message's way in seconds; `loss` is the part of messages that get lost."""

    def __init__(
        self,
        loop: Loop,
        size: int = 3,
        *,
        seed: int = 0,
        latency: tuple[float, float] | None = (0.0005, 0.005),
        snapshot_count: int = ETCD_SNAPSHOT_COUNT,
    ):
        self.loop, self.dice, self.latency = loop, random.Random(seed), latency
        self.snapshot_count, self.loss = snapshot_count, 0.0
        self.ids = tuple(range(1, size + 1))
        self.numbers = itertools.count(1)
        self.cut: set[frozenset[int]] = set()
        """Pairs that cannot talk."""
        self.messages: deque[Message] = deque()
        self.watch_applied: list[Callable[[int, Entry], None]] = []
        self._seen, self._pumping = 0, False
        self.nodes = {id: Node(self, id) for id in self.ids}

    # --- the network ----------------------------------------------------------------------------------------
    def carry(self, m: Message) -> None:
        if frozenset((m.source, m.target)) in self.cut or (self.loss and self.dice.random() < self.loss):
            return
        if self.latency is None:
            self.messages.append(m)
        else:
            self.loop.call_later(self.dice.uniform(*self.latency), self._deliver, m, background=True)

    def _deliver(self, m: Message) -> None:
        node = self.nodes[m.target]
        if node.alive and frozenset((m.source, m.target)) not in self.cut:
            node.raft.receive(m)

    def pump(self) -> None:
        """Without latency: deliver until nobody has anything to say."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.messages:
                self._deliver(self.messages.popleft())
        finally:
            self._pumping = False

    def isolate(self, id: int) -> None:
        self.cut |= {frozenset((id, other)) for other in self.ids if other != id}

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut every link between the sides."""
        groups = [set(side) for side in sides]
        for one, two in itertools.combinations(groups, 2):
            self.cut |= {frozenset((a, b)) for a in one for b in two}

    def heal(self) -> None:
        self.cut.clear()

    # --- the whole ------------------------------------------------------------------------------------------
    @property
    def leader(self) -> Node | None:
        """The leader of the newest term, if one leads."""
        leading = [node for node in self.nodes.values() if node.leads]
        return max(leading, key=lambda node: node.disk.term, default=None)

    def elect(self) -> None:
        """Let a leader be found now, as when members were started a while ago."""
        node = next(node for node in self.nodes.values() if node.alive)
        node.raft._campaign(pre=True)
        self.pump()

    def applied(self, index: int, entry: Entry) -> None:
        """A member applied an entry; listeners hear of each index once, in order."""
        if index == self._seen + 1:
            self._seen = index
            for listener in self.watch_applied:
                listener(index, entry)

    def stop(self) -> None:
        for node in self.nodes.values():
            node.kill()


class GroupStore(Store):
    """A client's view of a group, in the shape of a Store: what it writes is agreed on first, or refused.

    It applies what the members apply, so that watches need nobody; writes need a quorum, and so does `confirm`.
    """

    def __init__(self, group: Group):
        super().__init__(group.loop)
        self.group, self._kv = group, KV(self, group.loop)
        self.on_lease_expired = self.expire
        self.tree = Tree(group.loop, lambda: None)  # the members say when a key's time is up
        group.watch_applied.append(self._follow)
        group.elect()

    def ask(self, name: str, request: Any, token: str = "") -> Any:
        """What the leader answers, or without one any member that is alive; EtcdError if there is no quorum."""
        answers: list[Answer] = []
        alive = [node for node in self.group.nodes.values() if node.alive]
        for node in sorted(alive, key=lambda node: not node.leads)[:1]:
            node.call(name, request, answers.append, token)
        if not answers:
            raise timed_out()
        if isinstance(answers[0], EtcdError | TreeError):
            raise answers[0]
        return answers[0]

    def confirm(self) -> None:
        self.ask("range", rpc_pb2.RangeRequest(key=b"health"))

    def service(self) -> Service:
        """The group as clients see it who have all members' addresses."""
        return GroupService(self, self.group.loop)

    def txn(self, compares: Iterable[Compare], success: Sequence[Op], failure: Sequence[Op] = ()) -> TxnResult:
        """As Store.txn, but without the responses of the single operations."""
        answer = self.ask("txn", txn_to_pb(compares, success, failure))
        return TxnResult(answer.succeeded, answer.header.revision, [])

    def lease_grant(self, ttl: int, id: int = 0) -> Lease:
        id = id or self.group.loop.random.getrandbits(62) | 1 << 61
        self.ask("lease_grant", rpc_pb2.LeaseGrantRequest(ID=id, TTL=ttl))
        return self.leases[id]

    def lease_revoke(self, id: int) -> None:
        self.ask("lease_revoke", rpc_pb2.LeaseRevokeRequest(ID=id))

    def compact(self, revision: int) -> None:
        self.ask("compact", rpc_pb2.CompactionRequest(revision=revision))

    def expire(self, id: int) -> None:
        """A lease's time is up: the members must agree on its end."""
        try:
            self.lease_revoke(id)
        except EtcdError:  # no quorum now
            self.group.loop.call_later(ETCD_EXPIRY_RETRY, self.expire, id, background=True)

    def _follow(self, index: int, entry: Entry) -> None:
        """Do here what the members did, with the same result."""
        if not entry.name:
            return
        request = decode(entry.name, entry.data)
        with contextlib.suppress(EtcdError, TreeError):
            match entry.name:
                case "v2":
                    apply_v2(self.tree, request)
                case "lease_grant":
                    super().lease_grant(request.TTL, request.ID)
                case "lease_revoke":
                    super().lease_revoke(request.ID)
                case "compact":
                    super().compact(request.revision)
                case "put" | "delete_range" | "txn":
                    getattr(self._kv, entry.name)(request)


class GroupService(Service):
    """Passes every request on to the group. Watches, snapshots, and what API 2 reads, are this view's own."""

    store: GroupStore

    def __init__(self, store: GroupStore, loop: Loop):
        super().__init__(store, loop)
        self.tree = store.tree
        self.v2 = V2(store.tree, self.members, self.write_v2)

    def write_v2(self, request: KeyRequest) -> Event:
        try:
            event: Event = self.store.ask("v2", request)
            return event
        except EtcdError as error:
            raise TreeError(300, error.message) from error

    def call(self, name: str, request: Any, token: str = "", common_name: str = "") -> Any:
        return self.store.ask(name, request, token)

    def _expired(self, id: int) -> None:
        self.store.expire(id)
