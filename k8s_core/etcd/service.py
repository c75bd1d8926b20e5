"""One etcd member's v3 API: every unary gRPC method by name, from request message to answer.

Stands for etcdserver/v3_server.go with api/v3rpc. A request is checked (txn.py), its caller's rights too (auth.py), a
write is then proposed, and applied when the log has it: `propose` may be a write-ahead log (wal.py) or Raft
(raft.py). How messages travel is wire.py's business.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.auth import MAINTENANCE, UNCHECKED, Auth, hash_password
from k8s_core.etcd.kv import KV
from k8s_core.etcd.members import CLUSTER_ID, Members, check_urls
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.tree import Tree
from k8s_core.etcd.tree_hub import Event
from k8s_core.etcd.txn import check_key, check_put, check_txn, is_read_only
from k8s_core.etcd.v2 import V2, KeyRequest
from k8s_core.etcd.v2 import apply as apply_v2
from k8s_core.limits import (
    ETCD_LEASE_OVERHEAD,
    ETCD_MAX_REQUEST_BYTES,
    ETCD_MAX_TXN_OPS,
    ETCD_PROGRESS_INTERVAL,
    ETCD_PUT_OVERHEAD,
    ETCD_QUOTA_BYTES,
    ETCD_TOKEN_TTL,
)

Message = Any
ENVELOPE = 17  # bytes around a request in the log, which count as well
METHODS: dict[str, tuple[str, Message]] = {
    f"/{service.full_name}/{method.name}": (
        re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", method.name.replace("KV", "Kv")).lower(),
        method,
    )
    for service in rpc_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""gRPC path -> our name of it and its descriptor."""
WRITES = frozenset(
    (
        *("put", "delete_range", "txn", "compact", "lease_grant", "lease_revoke", "alarm", "downgrade"),
        *("member_add", "member_remove", "member_update", "member_promote", "auth_enable", "auth_disable"),
        *("user_add", "user_delete", "user_change_password", "user_grant_role", "user_revoke_role"),
        *("role_add", "role_delete", "role_grant_permission", "role_revoke_permission"),
    )
)
"""What goes through the log. Reads are answered from the state alone."""
CHECKS: dict[str, Callable[[Message], None]] = {
    "range": check_key,
    "put": check_put,
    "delete_range": check_key,
    "member_add": check_urls,
}
KEY_WRITES = frozenset(("put", "delete_range", "compact", "lease_grant", "lease_revoke"))
"""With txn, what a member whose data may be corrupt does not do."""
NO_SPACE, CORRUPT = 1, 2  # AlarmType


@dataclass(frozen=True)
class Options:
    """The flags of etcd that its answers depend on, by their names; seconds and bytes."""

    quota_backend_bytes: int = ETCD_QUOTA_BYTES
    max_request_bytes: int = ETCD_MAX_REQUEST_BYTES
    max_txn_ops: int = ETCD_MAX_TXN_OPS
    watch_progress_notify_interval: float = ETCD_PROGRESS_INTERVAL
    auth_token_ttl: float = ETCD_TOKEN_TTL


Done = Callable[[Message | EtcdError], None]


class Journal(Protocol):
    """A log that makes many clients' writes safe with one trip to the disk (wal.py)."""

    def add(self, name: str, request: Message, done: Done) -> None:
        """Take a write that was prepared."""

    def write(self) -> Callable[[], None] | None:
        """Write down what was added. What is returned makes it safe, in whatever thread; None if there is no need."""

    def settle(self, error: OSError | None = None) -> bool:
        """Do what is safe now, and answer; with an error, answer that nothing of it was done. Whether more waits."""


def no_space() -> EtcdError:
    return EtcdError("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")


def _branches(request: Message) -> tuple[Message, Message]:
    return request.success, request.failure


class Service:
    """The methods of one member. `propose(name, request)` returns the answer once the write is safe and applied."""

    def __init__(
        self,
        store: Store,
        loop: Loop,
        members: Members | None = None,
        propose: Callable[[str, Message], Message] | None = None,
        options: Options | None = None,
    ):
        self.store, self.loop, self.options = store, loop, options or Options()
        self.kv = KV(store, loop)
        self.members = members or Members(store)
        self.auth = Auth(loop, self.options.auth_token_ttl)
        self.propose = propose or self.apply
        self.journal: Journal | None = None
        self.tree = Tree(loop, self._sync_tree)
        self.v2 = V2(self.tree, self.members, self.write_v2)
        self._parts = (self.kv, self.members, self.auth)
        store.on_lease_expired = self._expired

    def call(self, name: str, request: Message, token: str = "", common_name: str = "") -> Message:
        """Answer one unary request; EtcdError if it is refused. The caller is known by `token`, from Authenticate.

        Without one the `common_name` of his certificate counts.
        """
        if self.prepare(name, request, token, common_name):
            return self._fill(self.propose(name, request))
        return self.answer(name, request)

    def prepare(self, name: str, request: Message, token: str = "", common_name: str = "") -> bool:
        """Refuse what may not be, and add what every member must take from the same hand. Whether it is a write."""
        write = name in WRITES and not (name == "txn" and is_read_only(request))
        if write:
            self._check_space(name, request)
        if name == "txn":
            check_txn(request, self.options.max_txn_ops)
        elif check := CHECKS.get(name):
            check(request)
        if write and request.ByteSize() + ENVELOPE > self.options.max_request_bytes:
            raise EtcdError("INVALID_ARGUMENT", "etcdserver: request is too large")
        if self.auth.enabled and name not in UNCHECKED:
            self._authorize(name, request, token, common_name)
        if name == "lease_grant" and not request.ID:
            request.ID = self.loop.random.getrandbits(62) | 1 << 61
        if name in ("user_add", "user_change_password"):
            hash_password(request, self.loop.random.randbytes(16))
        return write

    def answer(self, name: str, request: Message) -> Message:
        """Do what was prepared, and agreed on if it is a write."""
        return self._fill(self.apply(name, request))

    def _check_space(self, name: str, request: Message) -> None:
        """Sound the alarm rather than let the database grow over its quota."""
        puts = [request] if name == "put" else []
        if name == "txn":
            branches = [[op.request_put for op in ops if op.HasField("request_put")] for ops in _branches(request)]
            puts = max(branches, key=len)
        cost = sum(ETCD_PUT_OVERHEAD + len(put.key) + len(put.value) for put in puts) or ETCD_LEASE_OVERHEAD
        if (puts or name == "lease_grant") and self.store.size + cost > self.options.quota_backend_bytes:
            alarm = rpc_pb2.AlarmRequest(action=1, memberID=self.members.id, alarm=NO_SPACE)
            if (self.members.id, NO_SPACE) not in self.members.alarms:
                self.propose("alarm", alarm)
            raise no_space()

    def _authorize(self, name: str, request: Message, token: str, common_name: str) -> None:
        try:
            self.auth.check(name, request, self.auth.user_of(token) or common_name, self.store)
        except EtcdError as error:
            if name in MAINTENANCE:
                raise EtcdError("UNKNOWN", error.message.replace("etcdserver:", "auth:")) from None
            raise

    def apply(self, name: str, request: Message) -> Message:
        """Do what is already agreed on; "v2" is a write of API 2. The same calls in order give the same state."""
        if name == "v2":
            return apply_v2(self.tree, request)
        if self.members.alarms:
            self._check_alarms(name, request)
        for part in self._parts:
            if method := getattr(part, name, None):
                return method(request)
        raise EtcdError("UNIMPLEMENTED", f"unknown method {name}")

    def _sync_tree(self) -> None:
        with contextlib.suppress(EtcdError):
            self.write_v2(KeyRequest.sync(self.loop.now))

    def write_v2(self, request: KeyRequest) -> Event:
        event: Event = self.propose("v2", request)
        return event

    def _fill(self, response: Message) -> Message:
        if not response.HasField("header"):
            return response
        header = response.header
        header.cluster_id, header.member_id, header.raft_term = CLUSTER_ID, self.members.id, self.members.term
        if not header.revision and not response.DESCRIPTOR.name.startswith("Member"):
            header.revision = self.store.revision
        return response

    def header(self, revision: int | None = None) -> Message:
        return rpc_pb2.ResponseHeader(
            cluster_id=CLUSTER_ID,
            member_id=self.members.id,
            revision=self.store.revision if revision is None else revision,
            raft_term=self.members.term,
        )

    def _check_alarms(self, name: str, request: Message) -> None:
        alarms = {alarm for _, alarm in self.members.alarms}
        txn = name == "txn" and not is_read_only(request)
        if CORRUPT in alarms and (txn or name in KEY_WRITES):
            raise EtcdError("DATA_LOSS", "etcdserver: corrupt cluster")
        puts = txn and any(op.HasField("request_put") for ops in _branches(request) for op in ops)
        if NO_SPACE in alarms and (puts or name in ("put", "lease_grant")):
            raise no_space()

    def _expired(self, id: int) -> None:
        with contextlib.suppress(EtcdError):  # no quorum: the next leader tries again
            self.propose("lease_revoke", rpc_pb2.LeaseRevokeRequest(ID=id))
