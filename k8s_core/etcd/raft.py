"""Raft: one member's part in agreeing on a log. Elections with pre-vote, replication, read index, snapshots.

Stands for etcd's raft package (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"). Promises,
as long as a majority can talk: at most one leader in a term; what is committed is never lost and is applied by every
member in the same order; a read that was confirmed sees every write that ended before it began. A member knows
neither time nor network: group.py ticks it, carries its messages and keeps `disk` through its death. Left out:
changing the membership, learners, leader transfer.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k8s_core.limits import ETCD_ELECTION_TICKS

MAX_ENTRIES = 64  # entries in one message
FOLLOWER, CANDIDATE, PRE_CANDIDATE, LEADER = "follower", "candidate", "pre-candidate", "leader"


class Entry(NamedTuple):
    """One thing agreed on. `origin` and `number` say who asked for it; an empty name is a new leader's first entry."""

    term: int
    origin: int = 0
    number: int = 0
    name: str = ""
    data: bytes = b""


@dataclass(slots=True)
class Message:
    kind: str
    term: int
    source: int
    target: int
    index: int = 0
    """The entry before `entries`; of a candidate's log the last; what is acknowledged."""
    log_term: int = 0
    entries: Sequence[Entry] = ()
    commit: int = 0
    reject: bool = False
    context: tuple[int, int] = (0, 0)
    snapshot: bytes = b""


@dataclass(slots=True)
class Disk:
    """What a member has not forgotten when it comes back."""

    term: int = 0
    vote: int = 0
    entries: list[Entry] = field(default_factory=list)
    first: int = 0
    """Index of the entry before entries[0]: the last one that the snapshot holds."""
    first_term: int = 0
    snapshot: bytes = b""

    @property
    def last(self) -> int:
        return self.first + len(self.entries)

    def term_at(self, index: int) -> int:
        """The term of an entry; -1 if it is not there (any more, or yet)."""
        if index == self.first:
            return self.first_term
        return self.entries[index - self.first - 1].term if self.first < index <= self.last else -1

    def append(self, index: int, entries: Sequence[Entry]) -> None:
        """Put entries after `index`; where they differ from what is there, the rest of that goes."""
        for offset, entry in enumerate(entries):
            at = index + offset + 1
            if at <= self.first or self.term_at(at) == entry.term:
                continue
            del self.entries[at - self.first - 1 :]
            self.entries.append(entry)


class Member:
    """One member of a group of `ids`. `send` takes messages, `apply(index, entry)` what is committed, in order."""

    def __init__(
        self,
        id: int,
        ids: Sequence[int],
        disk: Disk,
        dice: random.Random,
        *,
        send: Callable[[Message], None],
        apply: Callable[[int, Entry], None],
        restore: Callable[[bytes], None],
        on_read: Callable[[int, int], None],
    ):
        self.id, self.ids, self.disk, self.dice = id, tuple(ids), disk, dice
        self.others = [other for other in ids if other != id]
        self._send, self._apply, self._restore, self._on_read = send, apply, restore, on_read
        self.role, self.leader = FOLLOWER, 0
        self.commit = self.applied = disk.first
        self.votes: dict[int, bool] = {}
        self.next: dict[int, int] = {}
        self.match: dict[int, int] = {}
        self.active: set[int] = set()
        self.reads: dict[int, tuple[int, int, int, set[int]]] = {}  # round -> index, asker, number, who agreed
        self._round = 0
        self._waiting_reads: list[tuple[int, int]] = []
        self._elapsed = self._since_quorum = 0
        self._patience = self._draw()
        if disk.snapshot:
            restore(disk.snapshot)

    # --- time -----------------------------------------------------------------------------------------------
    def _draw(self) -> int:
        return ETCD_ELECTION_TICKS + self.dice.randrange(ETCD_ELECTION_TICKS)

    def tick(self) -> None:
        self._elapsed += 1
        if self.role == LEADER:
            self._elapsed = 0
            self._since_quorum += 1
            if self._since_quorum >= ETCD_ELECTION_TICKS:  # CheckQuorum: a leader that nobody hears steps down
                self._since_quorum = 0
                if len(self.active) + 1 < self._quorum:
                    self._follow(self.disk.term, 0)
                    return
                self.active = set()
            self._broadcast()
        elif self._elapsed >= self._patience:
            self._campaign(pre=True)

    @property
    def _quorum(self) -> int:
        return len(self.ids) // 2 + 1

    # --- elections ------------------------------------------------------------------------------------------
    def _follow(self, term: int, leader: int) -> None:
        if term > self.disk.term:
            self.disk.term, self.disk.vote = term, 0
        if self.role == LEADER or leader != self.leader:
            self.reads, self._waiting_reads = {}, []
        self.role, self.leader = FOLLOWER, leader
        self._elapsed, self._patience = 0, self._draw()

    def _campaign(self, *, pre: bool) -> None:
        """Ask for votes; first only whether one would get them (pre-vote), which disturbs nobody."""
        self._elapsed, self._patience, self.leader = 0, self._draw(), 0
        self.role = PRE_CANDIDATE if pre else CANDIDATE
        term = self.disk.term + 1
        if not pre:
            self.disk.term, self.disk.vote = term, self.id
        self.votes = {self.id: True}
        kind = "pre-vote" if pre else "vote"
        last = self.disk.last
        for other in self.others:
            self._send(Message(kind, term, self.id, other, index=last, log_term=self.disk.term_at(last)))
        self._count_votes()

    def _on_vote(self, m: Message) -> None:
        last = self.disk.last
        up_to_date = (m.log_term, m.index) >= (self.disk.term_at(last), last)
        pre = m.kind == "pre-vote"
        free = m.term > self.disk.term if pre else self.disk.vote in (0, m.source)
        granted = up_to_date and free
        if granted and not pre:
            self.disk.vote, self._elapsed = m.source, 0
        term = m.term if granted else self.disk.term
        self._send(Message(f"{m.kind}-reply", term, self.id, m.source, reject=not granted))

    def _on_vote_reply(self, m: Message) -> None:
        if self.role == (PRE_CANDIDATE if m.kind == "pre-vote-reply" else CANDIDATE):
            self.votes[m.source] = not m.reject
            self._count_votes()

    def _count_votes(self) -> None:
        if sum(self.votes.values()) >= self._quorum:
            if self.role == PRE_CANDIDATE:
                self._campaign(pre=False)
            else:
                self._lead()
        elif len(self.votes) - sum(self.votes.values()) >= self._quorum:
            self._follow(self.disk.term, 0)

    def _lead(self) -> None:
        self.role, self.leader = LEADER, self.id
        self.next = dict.fromkeys(self.others, self.disk.last + 1)
        self.match = dict.fromkeys(self.others, 0)
        self.active, self._since_quorum, self.reads = set(self.others), 0, {}
        self.propose(Entry(self.disk.term))

    # --- replication ----------------------------------------------------------------------------------------
    def propose(self, entry: Entry) -> None:
        """Leader only: append an entry of this term and send it round."""
        self.disk.entries.append(entry._replace(term=self.disk.term))
        self._broadcast()
        self._advance_commit()

    def _broadcast(self) -> None:
        for other in self.others:
            self._send_append(other)

    def _send_append(self, other: int) -> None:
        disk, before = self.disk, self.next[other] - 1
        context = (self._round, 0)
        if before < disk.first:
            self._send(
                Message("snapshot", disk.term, self.id, other, disk.first, disk.first_term, snapshot=disk.snapshot)
            )
            return
        entries = disk.entries[before - disk.first : before - disk.first + MAX_ENTRIES]
        message = Message("append", disk.term, self.id, other, before, disk.term_at(before), entries, self.commit)
        message.context = context
        self._send(message)

    def _on_append(self, m: Message) -> None:
        self._follow(m.term, m.source)
        disk = self.disk
        reply = Message("append-reply", disk.term, self.id, m.source, context=m.context)
        if m.index > disk.last or (m.index >= disk.first and disk.term_at(m.index) != m.log_term):
            reply.reject, reply.index = True, min(disk.last, m.index - 1)
        else:
            disk.append(m.index, m.entries)
            reply.index = max(m.index + len(m.entries), disk.first)
            self._commit_to(min(m.commit, reply.index))
        self._send(reply)

    def _on_append_reply(self, m: Message) -> None:
        if self.role != LEADER:
            return
        self.active.add(m.source)
        self._confirm_reads(m.source, m.context[0])
        if m.reject:
            self.next[m.source] = max(min(m.index + 1, self.next[m.source] - 1), 1)
            self._send_append(m.source)
            return
        self.match[m.source] = max(self.match[m.source], m.index)
        self.next[m.source] = max(self.next[m.source], m.index + 1)
        self._advance_commit()
        if self.next[m.source] <= self.disk.last and m.index + 1 >= self.next[m.source]:
            self._send_append(m.source)

    def _on_snapshot(self, m: Message) -> None:
        self._follow(m.term, m.source)
        disk = self.disk
        if m.index > self.commit:
            kept = disk.entries[m.index - disk.first :] if disk.term_at(m.index) == m.log_term else []
            disk.entries, disk.first, disk.first_term, disk.snapshot = list(kept), m.index, m.log_term, m.snapshot
            self.commit = self.applied = m.index
            self._restore(m.snapshot)
        self._send(Message("append-reply", disk.term, self.id, m.source, index=self.commit))

    def _advance_commit(self) -> None:
        held = sorted([self.disk.last, *self.match.values()], reverse=True)[self._quorum - 1]
        if held > self.commit and self.disk.term_at(held) == self.disk.term:
            self._commit_to(held)
            self._broadcast()
            waiting, self._waiting_reads = self._waiting_reads, []
            for asker, number in waiting:
                self.read(asker, number)

    def _commit_to(self, index: int) -> None:
        self.commit = max(self.commit, index)
        while self.applied < self.commit:
            self.applied += 1
            self._apply(self.applied, self.disk.entries[self.applied - self.disk.first - 1])

    def compact(self, snapshot: Callable[[], bytes]) -> None:
        """Forget all applied entries; `snapshot` gives what they led to."""
        disk, first = self.disk, self.applied
        if first > disk.first:
            disk.first_term, disk.snapshot = disk.term_at(first), snapshot()
            disk.entries, disk.first = disk.entries[first - disk.first :], first

    # --- reads ----------------------------------------------------------------------------------------------
    def read(self, asker: int, number: int) -> None:
        """Leader only: find out up to where `asker` must have applied before its read may be answered."""
        if self.disk.term_at(self.commit) != self.disk.term:
            self._waiting_reads.append((asker, number))  # what earlier leaders committed is not known yet
            return
        self._round += 1
        self.reads[self._round] = (self.commit, asker, number, {self.id})
        self._broadcast()
        self._confirm_reads(self.id, self._round)

    def _confirm_reads(self, member: int, upto: int) -> None:
        """Whoever answers a later round was led by us in the earlier ones as well."""
        for number in [n for n in self.reads if n <= upto]:
            index, asker, read, agreed = self.reads[number]
            agreed.add(member)
            if len(agreed) >= self._quorum:
                del self.reads[number]
                if asker == self.id:
                    self._on_read(read, index)
                else:
                    self._send(Message("read-reply", self.disk.term, self.id, asker, index=index, context=(read, 0)))

    # --- messages -------------------------------------------------------------------------------------------
    def receive(self, m: Message) -> None:
        """Act on one message."""
        heard = self.leader and self._elapsed < ETCD_ELECTION_TICKS
        if m.kind in ("vote", "pre-vote") and heard and m.term > self.disk.term:
            return  # CheckQuorum: whoever hears a leader does not let it be voted away
        if m.term > self.disk.term and m.kind != "pre-vote" and not (m.kind == "pre-vote-reply" and not m.reject):
            self._follow(m.term, m.source if m.kind in ("append", "snapshot") else 0)
        if m.term < self.disk.term:
            if m.kind in ("append", "snapshot", "pre-vote"):  # let it know that its time is over
                kind = "append-reply" if m.kind != "pre-vote" else "pre-vote-reply"
                self._send(Message(kind, self.disk.term, self.id, m.source, reject=True))
            return
        match m.kind:
            case "vote" | "pre-vote":
                self._on_vote(m)
            case "vote-reply" | "pre-vote-reply":
                self._on_vote_reply(m)
            case "append":
                self._on_append(m)
            case "append-reply":
                self._on_append_reply(m)
            case "snapshot":
                self._on_snapshot(m)
            case "propose":
                if self.role == LEADER:
                    self.propose(m.entries[0])
            case "read":
                if self.role == LEADER:
                    self.read(m.source, m.context[0])
            case "read-reply":
                self._on_read(m.context[0], m.index)
