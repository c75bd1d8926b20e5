"""One etcd member's v3 API: every unary gRPC method by name, from request message to answer.

Stands for etcdserver/v3_server.go with api/v3rpc. A request is checked (txn.py), its caller's rights too (auth.py), a
write is then proposed, and applied when the log has it: `propose` may be a write-ahead log (wal.py) or Raft
(raft.py). How messages travel is wire.py's business.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.auth import MAINTENANCE, UNCHECKED, Auth, hash_password
from k8s_core.etcd.kv import KV
from k8s_core.etcd.members import CLUSTER_ID, Members, check_urls
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.tree import Event, Tree
from k8s_core.etcd.txn import check_key, check_put, check_txn, is_read_only
from k8s_core.etcd.v2 import V2, KeyRequest
from k8s_core.etcd.v2 import apply as apply_v2

Message = Any
MAX_REQUEST_BYTES = 1_572_864  # --max-request-bytes
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
    "txn": check_txn,
    "member_add": check_urls,
}
KEY_WRITES = frozenset(("put", "delete_range", "compact", "lease_grant", "lease_revoke"))
"""With txn, what a member whose data may be corrupt does not do."""
NO_SPACE, CORRUPT = 1, 2  # AlarmType


class Service:
    """The methods of one member. `propose(name, request)` returns the answer once the write is safe and applied."""

    def __init__(
        self,
        store: Store,
        loop: Loop,
        members: Members | None = None,
        propose: Callable[[str, Message], Message] | None = None,
    ):
        self.store, self.loop = store, loop
        self.kv = KV(store, loop)
        self.members = members or Members(store)
        self.auth = Auth(loop)
        self.propose = propose or self.apply
        self.tree = Tree(loop, self._sync_tree)
        self.propose_v2: Callable[[KeyRequest], Event] = self.apply_v2
        self.v2 = V2(self.tree, self.members, self._write_v2)
        self._parts = (self.kv, self.members, self.auth)
        store.on_lease_expired = self._expired

    def call(self, name: str, request: Message, token: str = "") -> Message:
        """Answer one unary request; EtcdError if it is refused. `token` is the caller's, from Authenticate."""
        if check := CHECKS.get(name):
            check(request)
        if name in WRITES and request.ByteSize() > MAX_REQUEST_BYTES:
            raise EtcdError("INVALID_ARGUMENT", "etcdserver: request is too large")
        if self.auth.enabled and name not in UNCHECKED:
            self._authorize(name, request, token)
        if name == "lease_grant" and not request.ID:
            request.ID = self.loop.random.getrandbits(62) | 1 << 61
        if name in ("user_add", "user_change_password"):
            hash_password(request, self.loop.random.randbytes(16))
        if name in WRITES and not (name == "txn" and is_read_only(request)):
            return self._fill(self.propose(name, request))
        return self._fill(self.apply(name, request))

    def _authorize(self, name: str, request: Message, token: str) -> None:
        try:
            self.auth.check(name, request, self.auth.user_of(token), self.store)
        except EtcdError as error:
            if name in MAINTENANCE:
                raise EtcdError("UNKNOWN", error.message.replace("etcdserver:", "auth:")) from None
            raise

    def apply(self, name: str, request: Message) -> Message:
        """Do what is already agreed on. The same calls in the same order give the same state."""
        if self.members.alarms:
            self._check_alarms(name, request)
        for part in self._parts:
            if method := getattr(part, name, None):
                return method(request)
        raise EtcdError("UNIMPLEMENTED", f"unknown method {name}")

    def _sync_tree(self) -> None:
        with contextlib.suppress(EtcdError):
            self.propose_v2(KeyRequest.sync(self.loop.now))

    def _write_v2(self, request: KeyRequest) -> Event:
        return self.propose_v2(request)

    def apply_v2(self, request: KeyRequest) -> Event:
        return apply_v2(self.tree, request)

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
        puts = txn and any(op.HasField("request_put") for op in (*request.success, *request.failure))
        if NO_SPACE in alarms and (puts or name in ("put", "lease_grant")):
            raise EtcdError("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")

    def _expired(self, id: int) -> None:
        with contextlib.suppress(EtcdError):  # no quorum: the next leader tries again
            self.propose("lease_revoke", rpc_pb2.LeaseRevokeRequest(ID=id))
