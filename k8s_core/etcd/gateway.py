"""v3 as JSON over HTTP: `curl -d '{"key":"Zm9v"}' URL/v3/kv/range`. Stands for etcd's gRPC gateway.

Names are those of the messages, bytes are base64, 64-bit numbers are strings; fields that are zero are left out.
Left out: snapshot, and requests streamed in (a watch's first message counts, and a keep-alive's).
"""

from typing import Any

import grpc
import orjson
from google.protobuf import json_format, message_factory

from k8s_core.etcd.service import METHODS
from k8s_core.etcd.store import EtcdError

Message = Any
PATHS = {
    **{f"kv/{path}": name for path, name in (
        ("range", "range"), ("put", "put"), ("deleterange", "delete_range"), ("txn", "txn"), ("compaction", "compact"),
        ("lease/revoke", "lease_revoke"), ("lease/timetolive", "lease_time_to_live"), ("lease/leases", "lease_leases"),
    )},
    **{f"lease/{path}": name for path, name in (
        ("grant", "lease_grant"), ("revoke", "lease_revoke"), ("keepalive", "lease_keep_alive"),
        ("timetolive", "lease_time_to_live"), ("leases", "lease_leases"),
    )},
    **{f"cluster/member/{verb}": f"member_{verb}" for verb in ("add", "remove", "update", "list", "promote")},
    **{f"maintenance/{path}": name for path, name in (
        ("alarm", "alarm"), ("status", "status"), ("defragment", "defragment"), ("hash", "hash"),
        ("transfer-leadership", "move_leader"), ("downgrade", "downgrade"),
    )},
    **{f"auth/{path}": name for path, name in (
        ("enable", "auth_enable"), ("disable", "auth_disable"), ("status", "auth_status"),
        ("authenticate", "authenticate"), ("user/changepw", "user_change_password"), ("user/grant", "user_grant_role"),
        ("user/revoke", "user_revoke_role"), ("role/grant", "role_grant_permission"),
        ("role/revoke", "role_revoke_permission"),
    )},
    **{f"auth/{who}/{verb}": f"{who}_{verb}" for who in ("user", "role") for verb in ("add", "get", "list", "delete")},
    "watch": "watch",
}  # fmt: skip
"""What comes after /v3/ -> our name of the method."""
STREAMS = ("watch", "lease_keep_alive")
STATUS = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "UNIMPLEMENTED": 501,
}  # fmt: skip
_INPUTS = {name: method.input_type for name, method in METHODS.values()}


def parse(name: str, body: bytes) -> Message:
    """A method's request out of JSON; EtcdError if that cannot be."""
    message = message_factory.GetMessageClass(_INPUTS[name])()
    try:
        json_format.Parse(body or b"{}", message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise EtcdError("INVALID_ARGUMENT", str(error)) from error
    return message


def render(message: Message, *, streamed: bool = False) -> bytes:
    """An answer as JSON; one of a stream stands in "result" and has a line of its own."""
    shown = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return orjson.dumps({"result": shown}) + b"\n" if streamed else orjson.dumps(shown)


def refuse(error: EtcdError) -> tuple[int, bytes]:
    """HTTP status and body of an error."""
    code = grpc.StatusCode[error.code].value[0]
    return STATUS.get(error.code, 500), orjson.dumps({"error": error.message, "code": code, "message": error.message})
