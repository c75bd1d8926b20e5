"""etcd's users, roles, permissions and simple tokens. Stands for server/auth and apply_auth.go.

A password is kept as a salted scrypt hash, made before the request goes to the log. Left out: JWT tokens.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from aetcd.rpc import auth_pb2, rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.intervals import Spans
from k8s_core.etcd.model import invalid, precondition
from k8s_core.etcd.store import EtcdError, Store

Message = Any
READ, WRITE, READ_WRITE = 0, 1, 2  # authpb.Permission.Type
ROOT = "root"
UNCHECKED = frozenset(("authenticate", "member_list", "status", "move_leader", "downgrade"))
"""What does not even look at the caller's token."""
MAINTENANCE = frozenset(("defragment", "hash", "hash_kv", "snapshot"))
"""For administrators; what is wrong is told in the words of etcd's auth package, as UNKNOWN."""
ADMIN_METHODS = MAINTENANCE | frozenset(
    (
        *("auth_enable", "auth_disable", "auth_status"),
        *("user_add", "user_delete", "user_change_password", "user_grant_role", "user_revoke_role", "user_list"),
        *("role_add", "role_delete", "role_grant_permission", "role_revoke_permission", "role_list"),
        *("member_add", "member_remove", "member_update", "member_promote"),
    )
)


def denied() -> EtcdError:
    return EtcdError("PERMISSION_DENIED", "etcdserver: permission denied")


@dataclass(slots=True)
class User:
    password: bytes = b""
    no_password: bool = False
    roles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Token:
    user: str
    expires: float


def hash_password(request: Message, salt: bytes) -> None:
    """Replace the password of a UserAdd or ChangePassword request by its hash, as etcd does before the log.

    A user can begin with an empty password; one who is given an empty one later cannot log in.
    """
    new = request.DESCRIPTOR.name == "AuthUserAddRequest"
    if not request.hashedPassword and (new or request.password):
        request.hashedPassword = base64.b64encode(salt + _scrypt(request.password, salt)).decode()
        request.password = ""


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1, dklen=32)


class Auth:
    """Users and what they may do. `revision` grows with every change."""

    def __init__(self, loop: Loop, token_ttl: float):
        self.loop, self.token_ttl = loop, token_ttl
        self.enabled = False
        self.revision = 1
        self.users: dict[str, User] = {}
        self.roles: dict[str, list[Message]] = {}
        self._tokens: dict[str, Token] = {}
        self._spans: dict[tuple[str, int], Spans] = {}
        """What each user may read and write, until something changes."""

    def restore(self, enabled: bool, revision: int, users: dict[str, User], roles: dict[str, list[Message]]) -> None:
        """Become another state."""
        self.enabled, self.revision, self.users, self.roles = enabled, revision, users, roles
        self._spans.clear()

    # --- who ------------------------------------------------------------------------------------------------
    def authenticate(self, request: Message) -> Message:
        if not self.enabled:
            raise precondition("authentication is not enabled")
        user = self.users.get(request.name)
        if user and user.no_password:
            raise EtcdError("UNKNOWN", "auth: authentication failed, password was given for no password user")
        salt, kept = (user.password[:16], user.password[16:]) if user else (b"", b"")
        if user is None or _scrypt(request.password, salt) != kept:
            raise invalid("authentication failed, invalid user ID or password")
        token = "".join(self.loop.random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=16))
        token = f"{token}.{self.revision}"
        self._tokens[token] = Token(request.name, self.loop.now + self.token_ttl)
        return rpc_pb2.AuthenticateResponse(header=rpc_pb2.ResponseHeader(), token=token)

    def user_of(self, token: str) -> str:
        """The user a token was given to; "" without a token."""
        if not token:
            return ""
        known = self._tokens.get(token)
        if known is None or known.expires < self.loop.now:
            raise EtcdError("UNAUTHENTICATED", "etcdserver: invalid auth token")
        known.expires = self.loop.now + self.token_ttl
        return known.user

    # --- may ------------------------------------------------------------------------------------------------
    def check(self, name: str, request: Message, user: str, store: Store) -> None:
        """EtcdError unless `user` may do this."""
        if name in ADMIN_METHODS:
            self._check_admin(user)
        elif name == "range":
            self.check_range(user, request.key, request.range_end, READ)
        elif name == "put":
            self._check_put(user, request, store)
        elif name == "delete_range":
            self._check_delete(user, request)
        elif name == "txn":
            self._check_txn(user, request, store)
        elif name == "lease_revoke" or (name == "lease_time_to_live" and request.keys):
            self._check_lease(user, request.ID, store, WRITE if name == "lease_revoke" else READ)
        elif name in ("user_get", "role_get") and not self._own(name, request, user):
            self._check_admin(user)

    def _own(self, name: str, request: Message, user: str) -> bool:
        """Whether somebody asks for himself or for a role of his own."""
        if name == "user_get":
            return bool(request.name == user)
        return user in self.users and request.role in self.users[user].roles

    def check_range(self, user: str, key: bytes, range_end: bytes, kind: int) -> None:
        if not self.enabled:
            return
        if not user:
            raise invalid("user name is empty")
        known = self.users.get(user)
        if known is None:
            raise denied()
        if ROOT in known.roles:
            return
        if (user, kind) not in self._spans:
            permissions = (p for role in known.roles for p in self.roles.get(role, ()))
            given = ((p.key, p.range_end) for p in permissions if p.permType in (kind, READ_WRITE))
            self._spans[user, kind] = Spans(given)
        if not self._spans[user, kind].cover(key, range_end):
            raise denied()

    def _check_admin(self, user: str) -> None:
        if not user:
            raise invalid("user name is empty")
        if user not in self.users:
            raise precondition("user name not found")
        if ROOT not in self.users[user].roles:
            raise denied()

    def _check_put(self, user: str, request: Message, store: Store) -> None:
        self.check_range(user, request.key, b"", WRITE)
        self._check_lease(user, request.lease, store)
        if request.prev_kv:
            self.check_range(user, request.key, b"", READ)

    def _check_delete(self, user: str, request: Message) -> None:
        self.check_range(user, request.key, request.range_end, WRITE)
        if request.prev_kv:
            self.check_range(user, request.key, request.range_end, READ)

    def _check_txn(self, user: str, request: Message, store: Store) -> None:
        for compare in request.compare:
            self.check_range(user, compare.key, compare.range_end, READ)
        for op in (*request.success, *request.failure):
            kind = op.WhichOneof("request")
            name = kind.removeprefix("request_")
            if name == "put":  # what was there before, and what else hangs on the lease, is not asked about here
                self.check_range(user, op.request_put.key, b"", WRITE)
            else:
                self.check(name, getattr(op, kind), user, store)

    def _check_lease(self, user: str, id: int, store: Store, kind: int = WRITE) -> None:
        for key in store.leases[id].keys if id in store.leases else ():
            self.check_range(user, key, b"", kind)

    # --- switching ------------------------------------------------------------------------------------------
    def auth_enable(self, request: Message) -> Message:
        if not self.enabled:
            if ROOT not in self.users:
                raise precondition("root user does not exist")
            if ROOT not in self.users[ROOT].roles:
                raise precondition("root user does not have root role")
            self.enabled = True
        return rpc_pb2.AuthEnableResponse(header=rpc_pb2.ResponseHeader())

    def auth_disable(self, request: Message) -> Message:
        if self.enabled:
            self.enabled = False
            self.revision += 1
            self._tokens.clear()
        return rpc_pb2.AuthDisableResponse(header=rpc_pb2.ResponseHeader())

    def auth_status(self, request: Message) -> Message:
        header = rpc_pb2.ResponseHeader()
        return rpc_pb2.AuthStatusResponse(header=header, enabled=self.enabled, authRevision=self.revision)

    # --- users ----------------------------------------------------------------------------------------------
    def _user(self, name: str) -> User:
        if name not in self.users:
            raise precondition("user name not found")
        return self.users[name]

    def user_add(self, request: Message) -> Message:
        if not request.name:
            raise invalid("user name is empty")
        if request.name in self.users:
            raise precondition("user name already exists")
        password = base64.b64decode(request.hashedPassword)
        self.users[request.name] = User(password, request.options.no_password)
        return self._changed(rpc_pb2.AuthUserAddResponse)

    def user_get(self, request: Message) -> Message:
        roles = self._user(request.name).roles
        return rpc_pb2.AuthUserGetResponse(header=rpc_pb2.ResponseHeader(), roles=roles)

    def user_list(self, request: Message) -> Message:
        return rpc_pb2.AuthUserListResponse(header=rpc_pb2.ResponseHeader(), users=sorted(self.users))

    def user_delete(self, request: Message) -> Message:
        if self.enabled and request.name == ROOT:
            raise invalid("invalid auth management")
        self._user(request.name)
        del self.users[request.name]
        self._forget(request.name)
        return self._changed(rpc_pb2.AuthUserDeleteResponse)

    def user_change_password(self, request: Message) -> Message:
        self._user(request.name).password = base64.b64decode(request.hashedPassword)
        self._forget(request.name)
        return self._changed(rpc_pb2.AuthUserChangePasswordResponse)

    def user_grant_role(self, request: Message) -> Message:
        user = self._user(request.user)
        if request.role != ROOT:
            self._role(request.role)
        if request.role in user.roles:
            return rpc_pb2.AuthUserGrantRoleResponse(header=rpc_pb2.ResponseHeader())
        user.roles = sorted([*user.roles, request.role])
        return self._changed(rpc_pb2.AuthUserGrantRoleResponse)

    def user_revoke_role(self, request: Message) -> Message:
        if self.enabled and request.name == request.role == ROOT:
            raise invalid("invalid auth management")
        user = self._user(request.name)
        if request.role not in user.roles:
            raise precondition("role is not granted to the user")
        user.roles = [role for role in user.roles if role != request.role]
        return self._changed(rpc_pb2.AuthUserRevokeRoleResponse)

    def _forget(self, user: str) -> None:
        self._tokens = {text: token for text, token in self._tokens.items() if token.user != user}

    # --- roles ----------------------------------------------------------------------------------------------
    def _role(self, name: str) -> list[Message]:
        if name not in self.roles:
            raise precondition("role name not found")
        return self.roles[name]

    def role_add(self, request: Message) -> Message:
        if not request.name:
            raise invalid("role name is empty")
        if request.name in self.roles:
            raise precondition("role name already exists")
        self.roles[request.name] = []
        return self._changed(rpc_pb2.AuthRoleAddResponse)

    def role_get(self, request: Message) -> Message:
        return rpc_pb2.AuthRoleGetResponse(header=rpc_pb2.ResponseHeader(), perm=self._role(request.role))

    def role_list(self, request: Message) -> Message:
        return rpc_pb2.AuthRoleListResponse(header=rpc_pb2.ResponseHeader(), roles=sorted(self.roles))

    def role_delete(self, request: Message) -> Message:
        if self.enabled and request.role == ROOT:
            raise invalid("invalid auth management")
        self._role(request.role)
        del self.roles[request.role]
        for user in self.users.values():
            user.roles = [role for role in user.roles if role != request.role]
        return self._changed(rpc_pb2.AuthRoleDeleteResponse)

    def role_grant_permission(self, request: Message) -> Message:
        if not request.HasField("perm"):
            raise invalid("permission not given")
        permissions = self._role(request.name)
        given = auth_pb2.Permission()
        given.CopyFrom(request.perm)
        first = next((p for p in permissions if p.key >= given.key), None)
        if first is not None and (first.key, first.range_end) == (given.key, given.range_end):
            first.permType = given.permType
        else:
            permissions.append(given)
            permissions.sort(key=lambda p: bytes(p.key))
        return self._changed(rpc_pb2.AuthRoleGrantPermissionResponse)

    def role_revoke_permission(self, request: Message) -> Message:
        permissions = self._role(request.role)
        kept = [p for p in permissions if (p.key, p.range_end) != (request.key, request.range_end)]
        if len(kept) == len(permissions):
            raise precondition("permission is not granted to the role")
        self.roles[request.role] = kept
        return self._changed(rpc_pb2.AuthRoleRevokePermissionResponse)

    def _changed(self, response: Any) -> Message:
        self.revision += 1
        self._spans.clear()
        return response(header=rpc_pb2.ResponseHeader())
