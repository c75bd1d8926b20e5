"""etcdctl's user, role and auth commands (ctlv3/command/user_command.go, role_command.go, auth_command.go)."""

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from aetcd.rpc import auth_pb2, rpc_pb2

from k8s_core.etcd.store import NO_END, prefix_end
from k8s_core.shell.commands.etcdctl_asks import Failure
from k8s_core.shell.commands.etcdctl_print import as_json
from k8s_core.shell.pipes import Steps

if TYPE_CHECKING:
    from k8s_core.shell.commands.etcdctl import Client

KINDS = ("read", "write", "readwrite")
USER, ROLE = "requires user name as its argument", "requires role name as its argument"


class Simple(NamedTuple):
    """A command that fills words into a request and says one line."""

    request: str
    fields: tuple[str, ...]
    said: str
    needs: str = ""


SIMPLE = {
    "user_delete": Simple("AuthUserDelete", ("name",), "User {0} deleted", f"user delete command {USER}"),
    "user_grant_role": Simple(
        "AuthUserGrantRole", ("user", "role"), "Role {1} is granted to user {0}",
        "user grant command requires user name and role name as its argument",
    ),
    "user_revoke_role": Simple(
        "AuthUserRevokeRole", ("name", "role"), "Role {1} is revoked from user {0}",
        "user revoke-role requires user name and role name as its argument",
    ),
    "user_get": Simple("AuthUserGet", ("name",), "", f"user get command {USER}"),
    "user_list": Simple("AuthUserList", (), ""),
    "role_add": Simple("AuthRoleAdd", ("name",), "Role {0} created", f"role add command {ROLE}"),
    "role_delete": Simple("AuthRoleDelete", ("role",), "Role {0} deleted", f"role delete command {ROLE}"),
    "role_get": Simple("AuthRoleGet", ("role",), "", f"role get command {ROLE}"),
    "role_list": Simple("AuthRoleList", (), ""),
    "auth_enable": Simple("AuthEnable", (), "Authentication Enabled"),
    "auth_disable": Simple("AuthDisable", (), "Authentication Disabled"),
    "auth_status": Simple("AuthStatus", (), ""),
}  # fmt: skip
KNOWN = {*SIMPLE, "user_add", "user_passwd", "role_grant_permission", "role_revoke_permission"}


def run(client: "Client", name: str, words: list[str]) -> Steps:
    if command := SIMPLE.get(name):
        _need(words, len(command.fields), command.needs)
        request = getattr(rpc_pb2, f"{command.request}Request")(**dict(zip(command.fields, words, strict=False)))
        answer = yield from client.call(name, request)
        _tell(client, answer, command.said.format(*words) + "\n" if command.said else _shown(name, answer, words))
        return 0
    return (yield from (_password if name.startswith("user") else _permission)(client, name, words))


def _need(words: list[str], count: int, message: str) -> None:
    if len(words) < count:
        raise Failure(message, 128)


def _tell(client: "Client", answer: Any, simple: str) -> None:
    client.out(orjson.dumps(as_json(answer)) + b"\n" if client.format == "json" else simple)


def _password(client: "Client", name: str, words: list[str]) -> Steps:
    """`user add` and `user passwd`: the password stands behind the name, or is read."""
    _need(words, 1, f"user {name.removeprefix('user_')} command {USER}")
    user, colon, password = words[0].partition(":")
    bare = client.flag("no-password")
    if not colon and not bare:
        user, password = words[0], (yield from client.stdin()).decode().rstrip("\n")
    if name == "user_passwd":
        request = rpc_pb2.AuthUserChangePasswordRequest(name=user, password=password)
        _tell(client, (yield from client.call("user_change_password", request)), "Password updated\n")
        return 0
    options = auth_pb2.UserAddOptions(no_password=bare)
    request = rpc_pb2.AuthUserAddRequest(name=user, password=password, options=options)
    _tell(client, (yield from client.call("user_add", request)), f"User {user} created\n")
    return 0


def _permission(client: "Client", name: str, words: list[str]) -> Steps:
    """`role grant-permission ROLE KIND KEY [END]` and `role revoke-permission ROLE KEY [END]`."""
    if name == "role_grant_permission":
        _need(words, 3, "role grant command requires role name, permission type, and key [endkey] as its argument")
        role, kind, *keys = words
        if kind not in KINDS:
            _need([], 1, f"invalid permission type: {kind}")
        span = client.span(keys)
        perm = auth_pb2.Permission(permType=KINDS.index(kind), **span)
        answer = yield from client.call(name, rpc_pb2.AuthRoleGrantPermissionRequest(name=role, perm=perm))
        _tell(client, answer, f"Role {role} updated\n")
        return 0
    _need(words, 2, "role revoke-permission command requires role name and key [endkey] as its argument")
    role, *keys = words
    span = client.span(keys)
    answer = yield from client.call(name, rpc_pb2.AuthRoleRevokePermissionRequest(role=role, **span))
    key, end = (span[part].decode(errors="replace") for part in ("key", "range_end"))
    what = f"range [{key}, {'<open ended>' if end == NO_END.decode() else end + ')'}" if end else f"key {key}"
    _tell(client, answer, f"Permission of {what} is revoked from role {role}\n")
    return 0


def _shown(name: str, answer: Any, words: list[str]) -> str:
    match name:
        case "user_get":
            return f"User: {words[0]}\nRoles:{''.join(f' {role}' for role in answer.roles)}\n"
        case "role_get":
            lines = [f"Role {words[0]}"]
            for title, kind in (("KV Read:", 0), ("KV Write:", 1)):
                lines += [title, *(f"\t{_span(p)}" for p in answer.perm if p.permType in (kind, 2))]
            return "\n".join(lines) + "\n"
        case "auth_status":
            return f"Authentication Status: {str(answer.enabled).lower()}\nAuthRevision: {answer.authRevision}\n"
    return "".join(f"{each}\n" for each in (answer.users if name == "user_list" else answer.roles))


def _span(permission: Any) -> str:
    key, end = bytes(permission.key), bytes(permission.range_end)
    if not end:
        return key.decode(errors="replace")
    if end == NO_END:
        return f"[{key.decode(errors='replace')}, <open ended>"
    shown = f"[{key.decode(errors='replace')}, {end.decode(errors='replace')})"
    return f"{shown} (prefix {key.decode(errors='replace')})" if end == prefix_end(key) else shown
