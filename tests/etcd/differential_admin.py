"""The same random requests to Auth, Cluster, Lease and Maintenance of the real etcd and of ours, with users and tokens.

As differential.py does for keys: every answer must be the same but for ids, sizes and times. Both begin empty, so the
real etcd at `address` must be a new one.
"""

import random
from typing import Any

import grpc
from aetcd.rpc import auth_pb2, rpc_pb2
from differential import plain
from servers import Client

from k8s_core.clock import Loop
from k8s_core.etcd.service import METHODS, Service
from k8s_core.etcd.store import EtcdError, Store

Message = Any
USERS, ROLES, PASSWORDS = ("root", "ann", "joe", ""), ("root", "reader", "writer", ""), ("1", "22", "")
KEYS, ENDS = (b"a", b"b", b"c", b"d"), (b"", b"", b"b", b"c", b"\0", b"a")
URLS = ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://nobody", "http://127.0.0.1:1/path", "x://127.0.0.1:1", "")
SIZES = ("dbSize", "dbSizeInUse", "raftIndex", "raftAppliedIndex", "raftTerm", "leader", "version", "hash", "memberID")
LEASES = (7, 8, 99)


class Both:
    """One user's requests to both, with the token that each gave him."""

    def __init__(self, address: str) -> None:
        self.loop = Loop()
        self.ours = Service(Store(self.loop), self.loop)
        self.real = Client(address)
        self.names = {method.name: name for name, method in METHODS.values()}
        self.tokens: dict[str, tuple[str, str]] = {"": ("", ""), "stranger": ("x.1", "x.1")}
        self.members: list[tuple[int, int]] = [(99, 99)]
        """Ids of members that were added, ours and the real one's."""
        self.own = tuple(a.header.member_id for a in self.call("", "Status", rpc_pb2.StatusRequest()))

    def call(self, user: str, method: str, request: Message, real: Message | None = None) -> tuple[Any, Any]:
        """What ours and the real one answer; an error as (code, text)."""
        own, other = self.tokens.get(user, ("", ""))
        metadata = [("token", other)] if other else []
        theirs = self._ask(method, real or request, metadata)
        if method.startswith("Member") and isinstance(theirs, tuple) and theirs[0] == "DEADLINE_EXCEEDED":
            # its Raft drops a change of members while the last one is still being applied, and never says so
            theirs = self._ask(method, real or request, metadata)
        copy = type(request)()
        copy.CopyFrom(request)
        try:
            ours: Any = self.ours.call(self.names[method], copy, own)
        except EtcdError as error:
            ours = error.code, error.message
        return ours, theirs

    def _ask(self, method: str, request: Message, metadata: list[tuple[str, str]]) -> Any:
        stub = next(stub for stub in self.real.stubs if hasattr(stub, method))
        try:
            return getattr(stub, method)(request, timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return error.code().name, error.details()  # type: ignore[attr-defined]

    def change_members(self, user: str, dice: random.Random) -> tuple[str, Any, Any]:
        """Add a learner, or change, promote or remove one: nothing that a member that never starts could hold up."""
        urls = dice.choices(URLS, k=dice.randrange(3))
        method = dice.choice(("MemberAdd", "MemberUpdate", "MemberPromote", "MemberRemove"))
        if method == "MemberAdd":
            fresh = [url + str(len(self.members)) if url in URLS[:2] else url for url in urls]
            asked = rpc_pb2.MemberAddRequest(peerURLs=fresh, isLearner=True)
            ours, theirs = self.call(user, method, asked)
            if not isinstance(ours, tuple) and not isinstance(theirs, tuple):
                self.members.append((ours.member.ID, theirs.member.ID))
                ours.member.ID = theirs.member.ID = 0
            return f"{method} {asked}", ours, theirs
        pair = dice.choice(self.members)
        if method == "MemberUpdate":  # bad URLs end the real one's process, and a learner is one no more
            pair, urls = dice.choice([(99, 99), self.own]), ["http://127.0.0.1:3"]
        kind = getattr(rpc_pb2, f"{method}Request")
        asked, other = ({"ID": id, **({"peerURLs": urls} if method == "MemberUpdate" else {})} for id in pair)
        return f"{method} {asked}", *self.call(user, method, kind(**asked), kind(**other))

    def log_in(self, user: str, password: str) -> tuple[Any, Any]:
        ours, theirs = self.call("", "Authenticate", rpc_pb2.AuthenticateRequest(name=user, password=password))
        if not isinstance(ours, tuple) and not isinstance(theirs, tuple):
            self.tokens[user] = (ours.token, theirs.token)
            ours.token = theirs.token = ""
        return ours, theirs


def bare(answer: Any) -> Any:
    """An answer without what differs from machine to machine."""
    if isinstance(answer, tuple):
        return answer
    copy = plain(answer)
    copy.header.raft_term = 0
    for field in SIZES:
        if field in copy.DESCRIPTOR.fields_by_name:
            copy.ClearField(field)
    if "alarms" in copy.DESCRIPTOR.fields_by_name:
        return sorted((alarm.memberID, alarm.alarm) for alarm in copy.alarms)
    if "errors" in copy.DESCRIPTOR.fields_by_name:
        copy.errors.sort()
    if "members" in copy.DESCRIPTOR.fields_by_name:
        rows = sorted((m.name, *m.peerURLs, m.isLearner) for m in copy.members if not m.name)
        return copy.DESCRIPTOR.name, len(copy.members), rows
    return copy


def request(dice: random.Random) -> tuple[str, Message]:
    """A random request: method and message."""
    pick, flag = dice.choice, lambda: dice.random() < 0.5
    user, role, password = pick(USERS), pick(ROLES), pick(PASSWORDS)
    key, end = pick(KEYS), pick(ENDS)
    perm = auth_pb2.Permission(permType=dice.randrange(3), key=key, range_end=end)
    put = rpc_pb2.PutRequest(key=key, value=b"1", prev_kv=flag(), lease=pick((0, 0, *LEASES)))
    span = {"key": key, "range_end": end}
    delete = rpc_pb2.DeleteRangeRequest(**span, prev_kv=flag())
    txn = rpc_pb2.TxnRequest(
        compare=[rpc_pb2.Compare(key=key, target=0, version=1)] if flag() else [],
        success=[rpc_pb2.RequestOp(request_put=put)] if flag() else [],
        failure=[rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(**span))] if flag() else [],
    )
    options = auth_pb2.UserAddOptions(no_password=dice.random() < 0.2)
    rpc = rpc_pb2
    return pick(
        [
            ("UserAdd", rpc.AuthUserAddRequest(name=user, password=password, options=options)),
            ("UserGet", rpc.AuthUserGetRequest(name=user)),
            ("UserList", rpc.AuthUserListRequest()),
            *[("UserDelete", rpc.AuthUserDeleteRequest(name=user))] * (dice.random() < 0.3),
            ("UserChangePassword", rpc.AuthUserChangePasswordRequest(name=user, password=password)),
            *[("UserGrantRole", rpc.AuthUserGrantRoleRequest(user=user, role=role))] * 3,
            *[("UserRevokeRole", rpc.AuthUserRevokeRoleRequest(name=user, role=role))] * (dice.random() < 0.3),
            *[("RoleAdd", rpc.AuthRoleAddRequest(name=role))] * 2,
            ("RoleGet", rpc.AuthRoleGetRequest(role=role)),
            ("RoleList", rpc.AuthRoleListRequest()),
            *[("RoleDelete", rpc.AuthRoleDeleteRequest(role=role))] * (dice.random() < 0.2),
            *[("RoleGrantPermission", rpc.AuthRoleGrantPermissionRequest(name=role, perm=perm))] * 3,
            ("RoleGrantPermission", rpc.AuthRoleGrantPermissionRequest(name=role)),
            ("RoleRevokePermission", rpc.AuthRoleRevokePermissionRequest(role=role, key=key, range_end=end)),
            *[("AuthEnable", rpc.AuthEnableRequest())] * 2,
            *[("AuthDisable", rpc.AuthDisableRequest())] * (dice.random() < 0.3),
            ("AuthStatus", rpc.AuthStatusRequest()),
            *[("Put", put)] * 3,
            *[("Range", rpc.RangeRequest(**span, serializable=flag()))] * 3,
            *[("DeleteRange", delete)] * 2,
            *[("Txn", txn)] * 3,
            ("Compact", rpc.CompactionRequest(revision=dice.randrange(20))),
            ("LeaseGrant", rpc.LeaseGrantRequest(ID=pick(LEASES[:2]), TTL=pick((3600, 9_000_000_001, 0, -5)))),
            ("LeaseRevoke", rpc.LeaseRevokeRequest(ID=pick(LEASES))),
            ("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=pick(LEASES), keys=flag())),
            ("LeaseLeases", rpc.LeaseLeasesRequest()),
            ("Status", rpc.StatusRequest()),
            ("Alarm", rpc.AlarmRequest(action=dice.randrange(3), alarm=dice.randrange(3), memberID=5)),
            ("HashKV", rpc.HashKVRequest(revision=dice.randrange(20))),
            ("Hash", rpc.HashRequest()),
            ("Defragment", rpc.DefragmentRequest()),
            ("MemberList", rpc.MemberListRequest()),
            ("MoveLeader", rpc.MoveLeaderRequest(targetID=5)),
            ("Downgrade", rpc.DowngradeRequest(action=dice.randrange(3), version=pick(("3.4.0", "3.5.0", "x", "")))),
        ]
    )


def _odd(method: str, asked: Message, ours: Service) -> bool:
    """Where the real one (3.5.1) has faults that later ones have not."""
    if method == "Downgrade" and asked.action == 1 and asked.version == "3.4.0":
        return True  # it never ends
    alarms = ours.members.alarms
    if (method == "AuthEnable" and alarms) or (method == "Alarm" and ours.auth.enabled):
        return True  # while there is an alarm, rights are not looked at
    if method == "RoleGrantPermission" and len(ours.auth.roles.get(asked.name, ())) >= 6:
        return True  # longer lists are in no certain order
    if method == "Alarm" and asked.action == 1 and alarms:
        return True  # of two alarms the last one counts until it starts again
    return ours.auth.enabled and method in ("LeaseLeases", "LeaseTimeToLive")  # it tells them to everybody


def run(address: str, operations: int, seed: int) -> int:
    """Compare that many requests; AssertionError at the first that differs."""
    dice, both = random.Random(seed), Both(address)
    for number in range(operations):
        user = dice.choice(("", "root", "root", "root", "ann", "joe", "stranger")) if both.ours.auth.enabled else ""
        if dice.random() < 0.15:
            method, asked = "Authenticate", None
            name = dice.choice(USERS)
            told, expected = both.log_in(name, dice.choice(PASSWORDS))
        elif dice.random() < 0.1:
            method, asked = "", None
            method, told, expected = both.change_members(user, dice)
        else:
            method, asked = request(dice)
            if _odd(method, asked, both.ours):
                continue
            told, expected = both.call(user, method, asked)
        assert bare(told) == bare(expected), f"{number}: {user} {method} {asked}\nours: {told}\nreal: {expected}"
        if method == "LeaseGrant" and asked.TTL <= 0 and not isinstance(told, tuple):  # it would end by itself, soon
            both.call(user, "LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=asked.ID))
    both.real.close()
    return operations


BOUNDS = (b"a", b"a\0", b"ab", b"b", b"b\0", b"c", b"d", b"e", b"f", b"\0", b"")


def ranges(address: str, rounds: int, seed: int) -> int:
    """Give a user rights in every form, then ask for every range: one key, up to a key, to the end, empty, inverted."""
    dice, both, asked = random.Random(seed), Both(address), 0

    def same(user: str, method: str, message: Message) -> None:
        nonlocal asked
        told, expected = both.call(user, method, message)
        assert bare(told) == bare(expected), f"{seed}: {user} {method} {message}\nours: {told}\nreal: {expected}"
        asked += 1

    for name in ("root", "ann"):
        same("", "UserAdd", rpc_pb2.AuthUserAddRequest(name=name, password="1"))
    same("", "UserGrantRole", rpc_pb2.AuthUserGrantRoleRequest(user="root", role="root"))
    same("", "AuthEnable", rpc_pb2.AuthEnableRequest())
    for number in range(rounds):
        both.log_in("root", "1")
        for role in [f"{number}.{each}" for each in range(dice.randrange(1, 5))]:
            same("root", "RoleAdd", rpc_pb2.AuthRoleAddRequest(name=role))
            for _ in range(dice.randrange(1, 6)):
                perm = auth_pb2.Permission(
                    permType=dice.randrange(3), key=dice.choice(BOUNDS), range_end=dice.choice(BOUNDS)
                )
                same("root", "RoleGrantPermission", rpc_pb2.AuthRoleGrantPermissionRequest(name=role, perm=perm))
            same("root", "UserGrantRole", rpc_pb2.AuthUserGrantRoleRequest(user="ann", role=role))
        both.log_in("ann", "1")
        for key in BOUNDS[:-1]:
            for end in BOUNDS:
                span = {"key": key, "range_end": end}
                same("ann", "Range", rpc_pb2.RangeRequest(**span))
                delete = rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(**span))
                same("ann", "Txn", rpc_pb2.TxnRequest(failure=[delete]))
        both.log_in("root", "1")
        for role in list(both.ours.auth.roles):
            same("root", "RoleDelete", rpc_pb2.AuthRoleDeleteRequest(role=role))
    both.real.close()
    return asked
