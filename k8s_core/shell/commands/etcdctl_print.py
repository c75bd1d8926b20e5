"""How etcdctl prints answers: simple, json, fields and table (ctlv3/command/printer_*.go), and reads a transaction."""

import base64
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from aetcd.rpc import rpc_pb2

if TYPE_CHECKING:
    from k8s_core.shell.commands.etcdctl import Client

Message = Any
rpc = rpc_pb2
HEADER = (("ClusterID", "cluster_id"), ("MemberID", "member_id"), ("Revision", "revision"), ("RaftTerm", "raft_term"))
KEY_VALUE = (
    *(("Key", "key"), ("CreateRevision", "create_revision"), ("ModRevision", "mod_revision")),
    *(("Version", "version"), ("Value", "value"), ("Lease", "lease")),
)
RESULTS = {"=": 0, ">": 1, "<": 2, "!=": 3}
TARGETS = {
    "ver": (0, "version"),
    "c": (1, "create_revision"),
    "create": (1, "create_revision"),
    "m": (2, "mod_revision"),
    "mod": (2, "mod_revision"),
    "val": (3, "value"),
    "value": (3, "value"),
    "version": (0, "version"),
    "lease": (4, "lease"),
}


def as_json(message: Message) -> dict[str, Any]:
    """A message as Go's encoding/json shows it: nothing that is empty, bytes in base64."""
    shown: dict[str, Any] = {}
    for field, value in message.ListFields():
        repeated = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        shown[field.name] = [_plain(each) for each in value] if repeated else _plain(value)
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return as_json(value) if hasattr(value, "ListFields") else value


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode() + "\n"


def _quoted(value: bytes | int) -> str:
    return orjson.dumps(value.decode(errors="replace")).decode() if isinstance(value, bytes) else str(value)


def _fields(message: Message, names: Iterable[tuple[str, str]]) -> str:
    return "".join(f'"{shown}" : {_quoted(getattr(message, name))}\n' for shown, name in names)


def _pair(kv: Message, client: "Client") -> bytes:
    key, value = (kv.key, kv.value)
    if client.flag("hex"):
        key, value = ("".join(f"\\x{byte:02x}" for byte in part).encode() for part in (key, value))
    return bytes(value + b"\n") if client.flag("print-value-only") else bytes(key + b"\n" + value + b"\n")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as the Go package tablewriter draws it: titles centred, numbers to the right."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    titles = "|" + "|".join(f" {_centre(title, width)} " for title, width in zip(headers, widths, strict=True)) + "|\n"
    body = "".join(
        "|" + "|".join(f" {cell:>{width}} " for cell, width in zip(row, widths, strict=True)) + "|\n" for row in rows
    )
    return f"{line}{titles}{line}{body}{line}"


def _centre(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)


# --- keys -------------------------------------------------------------------------------------------------------
def get(answer: Message, client: "Client") -> str | bytes:
    if client.format == "fields":
        kvs = "".join(_fields(kv, KEY_VALUE) for kv in answer.kvs)
        more = "true" if answer.more else "false"
        return f'{_fields(answer.header, HEADER)}{kvs}"More" : {more}\n"Count" : {answer.count}\n'
    return b"".join(_pair(kv, client) for kv in answer.kvs)


def put(answer: Message, client: "Client") -> str | bytes:
    if client.format == "fields":
        return _fields(answer.header, HEADER)
    previous = _pair(answer.prev_kv, client) if answer.HasField("prev_kv") else b""
    return b"OK\n" + previous


def delete(answer: Message, client: "Client") -> str | bytes:
    if client.format == "fields":
        return f'{_fields(answer.header, HEADER)}"Deleted" : {answer.deleted}\n'
    return f"{answer.deleted}\n".encode() + b"".join(_pair(kv, client) for kv in answer.prev_kvs)


def txn(answer: Message, client: "Client") -> str | bytes:
    lines = b"SUCCESS\n" if answer.succeeded else b"FAILURE\n"
    printers = {"response_range": get, "response_put": put, "response_delete_range": delete}
    for response in answer.responses:
        kind = response.WhichOneof("response")
        shown = printers[kind](getattr(response, kind), client)
        lines += b"\n" + (shown.encode() if isinstance(shown, str) else shown)
    return lines


def watch(response: Message, client: "Client") -> str | bytes:
    if client.format == "json":
        return dumps(as_json(response)) if response.events else ""
    lines = b""
    for event in response.events:
        previous = _pair(event.prev_kv, client) if event.HasField("prev_kv") else b""
        lines += (b"DELETE\n" if event.type else b"PUT\n") + previous + _pair(event.kv, client)
    return lines


def time_to_live(answer: Message, client: "Client") -> str:
    if client.format == "json":
        header = as_json(answer.header)
        keys = [base64.b64encode(key).decode() for key in answer.keys] or None
        return dumps({**header, "id": answer.ID, "ttl": answer.TTL, "granted-ttl": answer.grantedTTL, "keys": keys})
    if answer.TTL == -1:
        return f"lease {answer.ID:016x} already expired\n"
    text = f"lease {answer.ID:016x} granted with TTL({answer.grantedTTL}s), remaining({answer.TTL}s)"
    if client.flag("keys"):
        text += f", attached keys([{' '.join(key.decode(errors='replace') for key in answer.keys)}])"
    return text + "\n"


# --- members ----------------------------------------------------------------------------------------------------
def members(answer: Message, client: "Client") -> str:
    rows = [
        [f"{m.ID:x}", "started" if m.name else "unstarted", m.name, ",".join(m.peerURLs), ",".join(m.clientURLs),
         "true" if m.isLearner else "false"]
        for m in answer.members
    ]  # fmt: skip
    if client.format == "table":
        return table(("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"), rows)
    return "".join(", ".join(row) + "\n" for row in rows)


def size(count: int) -> str:
    """Bytes as go-humanize says them."""
    value, unit = float(count), 0
    while value >= 1000:
        value, unit = value / 1000, unit + 1
    digits = f"{value:.1f}" if unit and value < 10 else f"{value:.0f}"
    return f"{digits} {('B', 'kB', 'MB', 'GB', 'TB')[unit]}"


def status(answers: Sequence[tuple[str, Message]], client: "Client") -> str:
    if client.format == "json":
        return dumps([{"Endpoint": endpoint, "Status": as_json(answer)} for endpoint, answer in answers])
    rows = [
        [endpoint, f"{a.header.member_id:x}", a.version, size(a.dbSize),
         "true" if a.leader == a.header.member_id else "false", "true" if a.isLearner else "false", str(a.raftTerm),
         str(a.raftIndex), str(a.raftAppliedIndex), ", ".join(a.errors)]
        for endpoint, a in answers
    ]  # fmt: skip
    titles = ("ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX")
    if client.format == "table":
        return table((*titles, "RAFT APPLIED INDEX", "ERRORS"), rows)
    return "".join(", ".join(row) + "\n" for row in rows)


def alarms(answer: Message) -> str:
    return "".join(f"memberID:{a.memberID} alarm:{('NONE', 'NOSPACE', 'CORRUPT')[a.alarm]} \n" for a in answer.alarms)


# --- transactions -----------------------------------------------------------------------------------------------
def parse_txn(text: str) -> Message:
    """etcdctl's three paragraphs: compares, what to do then, what to do else."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            parts[-1].append(line)
        else:
            parts.append([])
    parts += [[], [], []]
    request = rpc.TxnRequest(compare=[_compare(line) for line in parts[0]])
    for name, lines in (("success", parts[1]), ("failure", parts[2])):
        for line in lines:
            _operation(getattr(request, name).add(), shlex.split(line))
    return request


def _compare(line: str) -> Message:
    left, _, rest = line.partition(")")
    target, _, key = left.partition("(")
    operator, value = rest.split(None, 1)
    number, field = TARGETS[target]
    compare = rpc.Compare(result=RESULTS[operator], target=number, key=shlex.split(key)[0].encode())
    text = shlex.split(value)[0]
    setattr(compare, field, text.encode() if field == "value" else int(text))
    return compare


def _operation(op: Message, words: list[str]) -> None:
    match words:
        case ["put", key, value]:
            op.request_put.CopyFrom(rpc.PutRequest(key=key.encode(), value=value.encode()))
        case ["get", key, *end]:
            op.request_range.CopyFrom(rpc.RangeRequest(key=key.encode(), range_end="".join(end).encode()))
        case ["del", key, *end]:
            op.request_delete_range.CopyFrom(rpc.DeleteRangeRequest(key=key.encode(), range_end="".join(end).encode()))
