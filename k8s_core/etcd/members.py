"""etcd's Cluster and Maintenance services: who is a member, and how this member is doing.

Stands for api/membership, v3rpc/member.go and maintenance.go. Membership is kept and answered for; whether a member
that was added ever runs is raft.py's business.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aetcd.rpc import rpc_pb2

from k8s_core.etcd.model import invalid, precondition
from k8s_core.etcd.store import EtcdError, Store, compacted, future_revision
from k8s_core.limits import ETCD_MAX_LEARNERS

Message = Any
CLUSTER_ID, MEMBER_ID = 0xCDF818194E3A8C32, 0x8E9E05C52164694D  # those of every etcd that was given no name
VERSION = "3.5.12"
CLUSTER_VERSION = "3.5.0"
PAGE = 4096
PEER_URL, CLIENT_URL = "http://localhost:2380", "http://localhost:2379"
ALARM_GET, ALARM_ACTIVATE = 0, 1
DOWNGRADE_ENABLE, DOWNGRADE_CANCEL = 1, 2


def not_found() -> EtcdError:
    return EtcdError("NOT_FOUND", "etcdserver: member not found")


def not_enough() -> EtcdError:
    return EtcdError("UNKNOWN", "etcdserver: re-configuration failed due to not enough started members")


class Members:
    """The member list as one member (`id`) sees it, its alarms and its status."""

    def __init__(
        self,
        store: Store,
        *,
        id: int = MEMBER_ID,
        name: str = "default",
        client_url: str = CLIENT_URL,
        version: str = VERSION,
    ):
        self.store, self.id, self.term, self.version = store, id, 2, version
        self.leader = id
        self.index = 4
        self.members: dict[int, Message] = {
            id: rpc_pb2.Member(ID=id, name=name, peerURLs=[PEER_URL], clientURLs=[client_url])
        }
        self.removed: set[int] = set()
        self.alarms: set[tuple[int, int]] = set()
        """(member id, AlarmType)"""
        self.downgrading = ""
        """The version a downgrade was begun to."""
        self._file = 0
        """Bytes that the database's file has grown to."""

    @property
    def learner(self) -> bool:
        """Whether this member has no vote yet."""
        return self.id in self.members and bool(self.members[self.id].isLearner)

    # --- Cluster --------------------------------------------------------------------------------------------
    def _list(self) -> list[Message]:
        return [self.members[id] for id in sorted(self.members)]

    def member_list(self, request: Message) -> Message:
        return rpc_pb2.MemberListResponse(header=rpc_pb2.ResponseHeader(), members=self._list())

    def member_add(self, request: Message) -> Message:
        urls = _urls(request.peerURLs)
        if not request.isLearner and any(not member.name for member in self.members.values()):
            raise not_enough()
        id = int.from_bytes(hashlib.sha1("".join(urls).encode()).digest()[:8], "big")
        if id in self.members:
            raise precondition("member ID already exist")
        if any(url in member.peerURLs for member in self.members.values() for url in urls):
            raise precondition("Peer URLs already exists")
        learners = sum(member.isLearner for member in self.members.values())
        if request.isLearner and learners >= ETCD_MAX_LEARNERS:
            raise precondition("too many learner members in cluster")
        member = rpc_pb2.Member(ID=id, peerURLs=urls, isLearner=request.isLearner)
        self.members[id] = member
        return rpc_pb2.MemberAddResponse(header=rpc_pb2.ResponseHeader(), member=member, members=self._list())

    def member_remove(self, request: Message) -> Message:
        member = self.members.get(request.ID)
        voting = [m for m in self.members.values() if not m.isLearner and m.ID != request.ID]
        started = [m for m in voting if m.name]
        if not (member and member.isLearner) and len(started) < len(voting) // 2 + 1:
            raise not_enough()
        self._member(request.ID)
        del self.members[request.ID]
        self.removed.add(request.ID)
        return rpc_pb2.MemberRemoveResponse(header=rpc_pb2.ResponseHeader(), members=self._list())

    def member_update(self, request: Message) -> Message:
        urls = list(request.peerURLs)
        member = self._member(request.ID)
        if any(url in other.peerURLs for other in self.members.values() if other is not member for url in urls):
            raise precondition("Peer URLs already exists")
        del member.peerURLs[:]
        member.peerURLs.extend(urls)
        return rpc_pb2.MemberUpdateResponse(header=rpc_pb2.ResponseHeader(), members=self._list())

    def member_promote(self, request: Message) -> Message:
        member = self._member(request.ID)
        if not member.isLearner:
            raise precondition("can only promote a learner member")
        if not member.name:
            raise precondition("can only promote a learner member which is in sync with leader")
        member.isLearner = False
        return rpc_pb2.MemberPromoteResponse(header=rpc_pb2.ResponseHeader(), members=self._list())

    def _member(self, id: int) -> Message:
        if id not in self.members:
            raise not_found()
        return self.members[id]

    # --- Maintenance ----------------------------------------------------------------------------------------
    def status(self, request: Message) -> Message:
        self._file = max(self._file, self.store.size)
        errors = [f"memberID:{id} alarm:{('NONE', 'NOSPACE', 'CORRUPT')[alarm]} " for id, alarm in sorted(self.alarms)]
        return rpc_pb2.StatusResponse(
            header=rpc_pb2.ResponseHeader(), version=self.version, dbSize=_pages(self._file),
            dbSizeInUse=_pages(self.store.size), leader=self.leader, raftIndex=self.index, raftTerm=self.term,
            raftAppliedIndex=self.index, errors=errors, isLearner=self.members[self.id].isLearner,
        )  # fmt: skip

    def defragment(self, request: Message) -> Message:
        """The file shrinks to what is in use: a compaction alone only makes room in it."""
        self._file = self.store.size
        return rpc_pb2.DefragmentResponse()

    def move_leader(self, request: Message) -> Message:
        """Only within one member: a group's leader is moved by what breaks it."""
        if self.id != self.leader:
            raise precondition("not leader")
        if request.targetID not in self.members or self.members[request.targetID].isLearner:
            raise precondition("bad leader transferee")
        return rpc_pb2.MoveLeaderResponse(header=rpc_pb2.ResponseHeader())

    def downgrade(self, request: Message) -> Message:
        """Validate, begin or call off going back to the minor version before this one."""
        response = rpc_pb2.DowngradeResponse(header=rpc_pb2.ResponseHeader(), version=CLUSTER_VERSION)
        if request.action == DOWNGRADE_CANCEL:
            if not self.downgrading:
                raise precondition("no inflight downgrade job")
            self.downgrading = ""
            return response
        wanted = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?", request.version)
        if not wanted:
            raise invalid("wrong downgrade target version format")
        if [int(part) for part in wanted.groups()[:2]] != [3, 4]:
            raise invalid("invalid downgrade target version")
        if self.downgrading:
            raise precondition("cluster has a downgrade job in progress")
        if request.action == DOWNGRADE_ENABLE:
            self.downgrading = "3.4.0"
        return response

    def hash(self, request: Message) -> Message:
        return rpc_pb2.HashResponse(header=rpc_pb2.ResponseHeader(), hash=self.store.hash())

    def hash_kv(self, request: Message) -> Message:
        if request.revision > self.store.revision:
            raise future_revision()
        if 0 < request.revision <= self.store.compact_revision:
            raise compacted()
        digest, reached = self.store.hash(request.revision), self.store.compact_revision
        return rpc_pb2.HashKVResponse(header=rpc_pb2.ResponseHeader(), hash=digest, compact_revision=reached)

    def alarm(self, request: Message) -> Message:
        wanted = (request.memberID, request.alarm)
        shown: Sequence[tuple[int, int]] = ()
        if request.action == ALARM_GET:
            shown = [a for a in sorted(self.alarms) if request.alarm in (0, a[1])]
        elif request.action == ALARM_ACTIVATE and request.alarm:
            self.alarms.add(wanted)
            shown = [wanted]
        elif wanted in self.alarms:
            self.alarms.discard(wanted)
            shown = [wanted]
        alarms = [rpc_pb2.AlarmMember(memberID=id, alarm=alarm) for id, alarm in shown]
        return rpc_pb2.AlarmResponse(header=rpc_pb2.ResponseHeader(), alarms=alarms)


def _pages(size: int) -> int:
    """What a file of whole pages takes; an empty one has five."""
    return max(5, -(-size // PAGE)) * PAGE


def check_urls(request: Message) -> None:
    _urls(request.peerURLs)


def _urls(texts: Sequence[str]) -> list[str]:
    """Peer URLs, sorted as etcd keeps them; refused unless they are scheme://host:port."""
    bad = invalid("given member URLs are invalid")
    for text in texts:
        url = urlsplit(text.strip())
        try:
            port = url.port
        except ValueError:
            raise bad from None
        if url.scheme not in ("http", "https", "unix", "unixs") or port is None or url.path:
            raise bad
    if not texts:
        raise bad
    return sorted(texts)
