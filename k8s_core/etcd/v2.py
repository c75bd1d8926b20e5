"""etcd's v2 API over HTTP: /v2/keys, /v2/members, /v2/machines, /v2/stats. Stands for etcdserver/api/v2http."""

import asyncio
import dataclasses
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from k8s_core.etcd.members import CLUSTER_ID, Members
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.tree import ROOT, Lifetime, Tree
from k8s_core.etcd.tree_hub import Event, Shown, TreeError

MESSAGES = {
    100: "Key not found",
    101: "Compare failed",
    102: "Not a file",
    104: "Not a directory",
    105: "Key already exists",
    107: "Root is read only",
    108: "Directory not empty",
    201: "PrevValue is Required in POST form",
    202: "The given TTL in POST form is not a number",
    203: "The given index in POST form is not a number",
    209: "Invalid field",
    210: "Invalid POST form",
    211: "Value provided on refresh",
    212: "A TTL must be provided on refresh",
    300: "Raft Internal Error",
    401: "The event in requested index is outdated and cleared",
}
STATUS = {100: 404, 101: 412, 102: 403, 105: 412, 108: 403, 110: 401, 300: 500, 301: 500}
TRUE, FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
Form = Mapping[str, str]
"""The first value of each field, from the body and the query."""


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] | None = None


@dataclass(slots=True)
class KeyRequest:
    """A request to /v2/keys, checked."""

    method: str
    path: str
    form: Form
    life: Lifetime
    prev_value: str
    prev_index: int
    prev_exist: bool | None
    wait_index: int
    recursive: bool
    ordered: bool
    wait: bool
    dir: bool
    stream: bool
    silent: bool

    @classmethod
    def parse(cls, method: str, path: str, form: Form, now: float) -> "KeyRequest":
        """TreeError with etcd's number and words for a field that cannot be read."""
        prev_index, wait_index = (_index(form, name) for name in ("prevIndex", "waitIndex"))
        names = ("recursive", "sorted", "wait", "dir", "quorum", "stream")
        recursive, ordered, wait, dir, _, stream = (_flag(form, name) for name in names)
        if wait and method != "GET":
            raise TreeError(209, '"wait" can only be used with GET requests')
        if form.get("prevValue") == "":
            raise TreeError(201, '"prevValue" cannot be empty')
        silent = _flag(form, "noValueOnSuccess")
        life = Lifetime()
        if form.get("ttl"):
            if not re.fullmatch(r"\d{1,19}", form["ttl"]):
                raise TreeError(202, 'invalid value for "ttl"')
            life.expires = now + int(form["ttl"])
        prev_exist = _flag(form, "prevExist", "invalid value for prevExist") if "prevExist" in form else None
        life.refresh = _flag(form, "refresh", "invalid value for refresh")
        if life.refresh:
            if form.get("value"):
                raise TreeError(211, "A value was provided on a refresh")
            if not form.get("ttl"):
                raise TreeError(212, "No TTL value set")
        return cls(
            method, posixpath.normpath(f"{ROOT}/{path}"), form, life, form.get("prevValue", ""), prev_index, prev_exist,
            wait_index, recursive, ordered, wait, dir, stream, silent,
        )  # fmt: skip

    def dump(self) -> bytes:
        """For the log."""
        return orjson.dumps(dataclasses.asdict(self))

    @classmethod
    def load(cls, data: bytes) -> "KeyRequest":
        fields = orjson.loads(data)
        return cls(**{**fields, "life": Lifetime(**fields["life"])})

    @classmethod
    def sync(cls, now: float) -> "KeyRequest":
        """What a leader proposes when a key's time is up."""
        asked = cls.parse("SYNC", "", {}, now)
        asked.life.expires = now
        return asked


def _index(form: Form, name: str) -> int:
    if name not in form:
        return 0
    if not re.fullmatch(r"\d{1,20}", form[name]) or int(form[name]) >= 1 << 64:
        raise TreeError(203, f'invalid value for "{name}"')
    return int(form[name])


def _flag(form: Form, name: str, complaint: str = "") -> bool:
    value = form.get(name, "0")
    if value not in TRUE + FALSE:
        raise TreeError(209, complaint or f'invalid value for "{name}"')
    return value in TRUE


def apply(tree: Tree, request: KeyRequest) -> Event:
    """Do what a request other than a wait asks for."""
    if request.method == "SYNC":
        tree.delete_expired(request.life.expires)
        return Event("sync", {})
    path, value, life = request.path, request.form.get("value", ""), request.life
    compared = bool(request.prev_value or request.prev_index)
    guard: Any = {"prev_value": request.prev_value, "prev_index": request.prev_index}
    match request.method:
        case "PUT":
            if request.prev_exist is False:
                return tree.create(path, value, dir=request.dir, life=life)
            if compared:
                return tree.compare_and_swap(path, value, life=life, **guard)
            if request.prev_exist:
                return tree.update(path, value, life)
            return tree.set(path, value, dir=request.dir, life=life)
        case "POST":
            return tree.create(path, value, dir=request.dir, unique=True, life=life)
        case "DELETE":
            if compared:
                return tree.compare_and_delete(path, **guard)
            return tree.delete(path, dir=request.dir, recursive=request.recursive)
    return tree.get(path, recursive=request.recursive, ordered=request.ordered)


# --- how it is written ------------------------------------------------------------------------------------------
def _node(shown: Shown | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    node: dict[str, Any] = {}
    if key := shown["key"].removeprefix(ROOT):
        node["key"] = key
    for name in ("value", "dir"):
        if name in shown:
            node[name] = shown[name]
    if "expires" in shown:
        moment = datetime.fromtimestamp(shown["expires"], UTC)
        fraction = f"{moment:.%f}".rstrip("0").rstrip(".")
        node["expiration"] = f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
        if shown["ttl"]:
            node["ttl"] = shown["ttl"]
    if "nodes" in shown:
        node["nodes"] = [_node(child) for child in shown["nodes"]]
    return node | {name: shown[name] for name in ("modifiedIndex", "createdIndex") if shown[name]}


def encode(body: Any) -> bytes:
    """JSON as Go's encoder writes it, with a newline."""
    text = orjson.dumps(body)
    for character in b"<>&":
        text = text.replace(bytes([character]), b"\\u%04x" % character)
    return text + b"\n"


def event_body(event: Event, *, silent: bool = False) -> bytes:
    body: dict[str, Any] = {"action": event.action}
    if not (silent and event.action in ("set", "compareAndSwap", "create", "update")):
        body["node"] = _node(event.node)
        if event.prev is not None:
            body["prevNode"] = _node(event.prev)
    return encode(body)


def error_answer(error: TreeError) -> Answer:
    body: dict[str, Any] = {"errorCode": error.code, "message": MESSAGES[error.code]}
    if cause := error.cause.removeprefix(ROOT):
        body["cause"] = cause
    body["index"] = error.index
    headers = {"X-Etcd-Index": str(error.index)}
    return Answer(STATUS.get(error.code, 400), encode(body), headers)


class V2:
    """The v2 API of one member."""

    def __init__(self, tree: Tree, members: Members, propose: Callable[[KeyRequest], Event] | None = None):
        self.tree, self.members = tree, members
        self._propose = propose or (lambda request: apply(tree, request))
        self.waiting: set[asyncio.Future[None]] = set()

    def headers(self, index: int) -> dict[str, str]:
        return {
            "X-Etcd-Cluster-Id": f"{CLUSTER_ID:x}",
            "X-Etcd-Index": str(index),
            "X-Raft-Index": str(self.members.index),
            "X-Raft-Term": str(self.members.term),
        }

    def keys(self, request: KeyRequest) -> Answer:
        """Answer a request to /v2/keys that is no wait."""
        event = apply(self.tree, request) if request.method in ("GET", "HEAD") else self._propose(request)
        body = event_body(event, silent=request.silent)
        return Answer(201 if event.created else 200, body, self.headers(event.index))

    def ask(self, method: str, path: str, form: Form) -> Answer:
        """Answer a request to /v2/keys by its parts; no waits."""
        try:
            return self.keys(KeyRequest.parse(method, path, form, self.tree.loop.now))
        except TreeError as error:
            return error_answer(error)

    def stats(self, what: str) -> Answer:
        if what == "store":
            return Answer(200, encode(self.tree.stats | {"watchers": len(self.tree.hub.watchers)}).rstrip(b"\n"))
        if what == "leader":
            return Answer(200, encode({"leader": f"{self.members.leader:x}", "followers": {}}).rstrip(b"\n"))
        now = datetime.fromtimestamp(self.tree.loop.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        own = {
            "name": self.members.members[self.members.id].name,
            "id": f"{self.members.id:x}",
            "state": "StateLeader" if self.members.leader == self.members.id else "StateFollower",
            "startTime": now,
            "leaderInfo": {"leader": f"{self.members.leader:x}", "uptime": "1s", "startTime": now},
            "recvAppendRequestCnt": 0,
            "sendAppendRequestCnt": 0,
        }
        return Answer(200, encode(own).rstrip(b"\n"))

    def machines(self) -> Answer:
        urls = [url for member in self.members.members.values() for url in member.clientURLs]
        return Answer(200, ", ".join(sorted(urls)).encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def members_get(self, name: str) -> Answer:
        if name == "":
            shown = [_member(member) for _, member in sorted(self.members.members.items())]
            return Answer(200, encode({"members": shown}))
        if name == "leader":
            return Answer(200, encode(_member(self.members.members[self.members.leader])))
        return Answer(404, encode({"message": "Not found"}).rstrip(b"\n"))

    def members_failed(self, error: EtcdError, id: str) -> Answer:
        text = error.message.removeprefix("etcdserver: ")
        if error.code == "NOT_FOUND":
            return Answer(404, encode({"message": f"No such member: {id}"}).rstrip(b"\n"))
        if "exist" in text:
            text = "membership: peerURL exists" if "URL" in text else "membership: ID exists"
            return Answer(409, encode({"message": text}).rstrip(b"\n"))
        return Answer(500, encode({"message": "Internal Server Error"}).rstrip(b"\n"))


def _member(member: Any) -> dict[str, Any]:
    return {
        "id": f"{member.ID:x}",
        "name": member.name,
        "peerURLs": list(member.peerURLs),
        "clientURLs": list(member.clientURLs),
    }
