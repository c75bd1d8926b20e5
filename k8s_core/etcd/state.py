"""A member's whole state as bytes and back: what snapshots hold and what a leader sends to a follower far behind.

JSON with values in base64, and the SHA-256 of all before it. Unlike `etcdctl snapshot save` (snapshot.py) nothing is
left out: past revisions back to the last compaction, leases, users, members, the v2 tree. Leases begin anew when they
are loaded, as under a new leader.
"""

import base64
import dataclasses
import hashlib
from typing import Any

import orjson
from aetcd.rpc import auth_pb2, rpc_pb2

from k8s_core.etcd.auth import User
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError, KeyValue, Store
from k8s_core.etcd.tree import Node, Tree
from k8s_core.etcd.tree_hub import Event as TreeEvent

State = dict[str, Any]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_bytes = base64.b64decode


def dump(service: Service) -> bytes:
    auth, members = service.auth, service.members
    state: State = {
        "store": _dump_store(service.store),
        "tree": _dump_tree(service.tree),
        "members": [_text(member.SerializeToString()) for member in members.members.values()],
        "removed": sorted(members.removed),
        "alarms": sorted(members.alarms),
        "auth": {
            "enabled": auth.enabled,
            "revision": auth.revision,
            "users": {name: [_text(u.password), u.no_password, u.roles] for name, u in auth.users.items()},
            "roles": {name: [_text(p.SerializeToString()) for p in found] for name, found in auth.roles.items()},
        },
    }
    body = orjson.dumps(state)
    return body + hashlib.sha256(body).digest()


def load(service: Service, data: bytes) -> None:
    """Make `service` what `dump` was given; EtcdError if the bytes are damaged."""
    body, digest = data[:-32], data[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise EtcdError("DATA_LOSS", "snap: crc mismatch")
    state = orjson.loads(body)
    _load_store(service.store, state["store"])
    _load_tree(service.tree, state["tree"])
    found = [rpc_pb2.Member.FromString(_bytes(text)) for text in state["members"]]
    service.members.members = {member.ID: member for member in found}
    service.members.removed = set(state["removed"])
    service.members.alarms = {(id, alarm) for id, alarm in state["alarms"]}
    kept = state["auth"]
    users = {name: User(_bytes(hashed), bare, roles) for name, (hashed, bare, roles) in kept["users"].items()}
    roles = {
        name: [auth_pb2.Permission.FromString(_bytes(text)) for text in rows] for name, rows in kept["roles"].items()
    }
    service.auth.restore(kept["enabled"], kept["revision"], users, roles)


def _pack(kv: KeyValue) -> list[Any]:
    return [_text(kv.key), _text(kv.value), *kv[2:]]


def _unpack(row: list[Any]) -> KeyValue:
    return KeyValue(_bytes(row[0]), _bytes(row[1]), *row[2:])


def _dump_store(store: Store) -> State:
    kept = list(map(_pack, store.kept()))
    before = len(store.base())
    return {
        "revision": store.revision,
        "compacted": store.compact_revision,
        "leases": [[lease.id, lease.ttl] for lease in store.leases.values()],
        "base": kept[:before],
        "log": kept[before:],
    }


def _load_store(store: Store, state: State) -> None:
    leases = [(id, ttl) for id, ttl in state["leases"]]
    base, log = (map(_unpack, state[name]) for name in ("base", "log"))
    store.restore(state["revision"], base, leases, state["compacted"], log)


def _dump_tree(tree: Tree) -> State:
    def pack(node: Node) -> list[Any]:
        below = None if node.children is None else [pack(child) for child in node.children.values()]
        return [node.path, node.created, node.modified, node.value, node.expires, below]

    events = [dataclasses.asdict(event) for event in tree.hub.history]
    return {"index": tree.index, "stats": tree.stats, "history": events, "root": pack(tree.root)}


def _load_tree(tree: Tree, state: State) -> None:
    def unpack(row: list[Any], parent: Node | None) -> Node:
        path, created, modified, value, expires, below = row
        node = Node(path, created, modified, parent, value, None if below is None else {}, 0.0)
        if expires:
            tree.expire_at(node, expires)
        for child in below or ():
            assert node.children is not None
            made = unpack(child, node)
            node.children[made.name] = made
        return node

    tree.index, tree.stats = state["index"], state["stats"]
    tree.root = unpack(state["root"], None)
    tree.hub.history.clear()
    tree.hub.history.extend(TreeEvent(**event) for event in state["history"])
