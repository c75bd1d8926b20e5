"""The database of a member as `etcdctl snapshot save` gets it: etcd's own buckets in a bbolt file, and a SHA-256.

`etcdctl snapshot status` and `restore` take it, and a real etcd can be started from it; what the real etcd saved can
be loaded here. All of v3 is there, past revisions back to the last compaction included. A limit: passwords are hashed
in another way than etcd's (auth.py), so its users have to be given new ones.
"""

import hashlib
import struct
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import orjson
from aetcd.rpc import auth_pb2, kv_pb2, rpc_pb2

from k8s_core.etcd import bolt
from k8s_core.etcd.kv import from_pb, to_pb
from k8s_core.etcd.members import CLUSTER_VERSION
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError, KeyValue, Store

REVISION = struct.Struct(">QcQ")  # main, "_", sub: the place of a write in its transaction
TOMBSTONE = b"t"
NUMBER = struct.Struct(">Q")
COMPACTED = b"finishedCompactRev"
DIGEST, SECTOR = 32, 512
CRC32C = [reduce(lambda crc, _: crc >> 1 ^ 0x82F63B78 * (crc & 1), range(8), byte) for byte in range(256)]


def dump(service: Service) -> bytes:
    """The file's bytes, the digest at the end."""
    store, members, auth = service.store, service.members, service.auth
    compacted = [] if store.compact_revision < 1 else [(COMPACTED, REVISION.pack(store.compact_revision, b"_", 0))]
    compacted += [(b"scheduledCompactRev", value) for _, value in compacted]
    voters = [member.ID for member in members.members.values() if not member.isLearner]
    body = bolt.dump(
        {
            "key": _keys(store),
            "lease": sorted((NUMBER.pack(lease.id), _lease(lease.id, lease.ttl)) for lease in store.leases.values()),
            "meta": sorted(
                [
                    (b"consistent_index", NUMBER.pack(members.index)),
                    (b"term", NUMBER.pack(members.term)),
                    (b"confState", orjson.dumps({"voters": voters, "auto_leave": False})),
                    *compacted,
                ]
            ),
            "members": sorted((f"{member.ID:x}".encode(), _member(member)) for member in members.members.values()),
            "members_removed": sorted((f"{id:x}".encode(), b"removed") for id in members.removed),
            "cluster": [(b"clusterVersion", CLUSTER_VERSION.encode())],
            "alarm": sorted(
                (rpc_pb2.AlarmMember(memberID=id, alarm=alarm).SerializeToString(), b"") for id, alarm in members.alarms
            ),
            "auth": [(b"authEnabled", bytes([auth.enabled])), (b"authRevision", NUMBER.pack(auth.revision))],
            "authUsers": [
                (
                    name.encode(),
                    auth_pb2.User(
                        name=name.encode(), password=user.password, roles=user.roles,
                        options=auth_pb2.UserAddOptions(no_password=user.no_password),
                    ).SerializeToString(),
                )
                for name, user in sorted(auth.users.items())
            ],
            "authRoles": [
                (name.encode(), auth_pb2.Role(name=name.encode(), keyPermission=permissions).SerializeToString())
                for name, permissions in sorted(auth.roles.items())
            ],
        }
    )  # fmt: skip
    return body + hashlib.sha256(body).digest()


def body(data: bytes, *, check: bool = True) -> bytes:
    """A snapshot's database, without the digest at its end; EtcdError in etcdutl's words if the two do not agree."""
    digest = data[-DIGEST:] if len(data) % SECTOR == DIGEST else b""
    found = data[: len(data) - len(digest)]
    if check and not digest:
        raise EtcdError("DATA_LOSS", "snapshot missing hash but --skip-hash-check=false")
    if check and (real := hashlib.sha256(found).digest()) != digest:
        shown = ("[" + " ".join(map(str, each)) + "]" for each in (digest, real))
        raise EtcdError("DATA_LOSS", "expected sha256 {}, got {}".format(*shown))
    return found


def _buckets(database: bytes) -> dict[str, list[tuple[bytes, bytes]]]:
    try:
        return bolt.load(database)
    except bolt.Damaged as error:
        raise EtcdError("DATA_LOSS", "invalid database") from error


class Status(NamedTuple):
    """What `snapshot status` tells: a CRC-32 (Castagnoli) of all buckets, and how much there is of keys and bytes."""

    hash: int
    revision: int
    keys: int
    size: int


def status(data: bytes) -> Status:
    database = body(data, check=False)
    if bolt.PAGE <= len(database) < 2 * bolt.PAGE:
        raise EtcdError("DATA_LOSS", "file size too small")
    buckets = _buckets(database)
    hash = 0
    for name, items in sorted(buckets.items()):
        hash = _crc32c(b"".join([name.encode(), *(part for item in items for part in item)]), hash)
    last = buckets["key"][-1][0] if buckets["key"] else bytes(REVISION.size)
    return Status(hash, REVISION.unpack_from(last)[0], sum(map(len, buckets.values())), len(database))


def _crc32c(data: bytes, crc: int) -> int:
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def load(store: Store, data: bytes) -> int:
    """Make `store` what a snapshot holds, without its users and members; its revision. EtcdError if it is damaged."""
    return load_database(store, body(data))


def load_database(store: Store, database: bytes) -> int:
    buckets = _buckets(database)
    compacted = REVISION.unpack_from(dict(buckets["meta"]).get(COMPACTED, REVISION.pack(0, b"_", 0)))[0] or -1
    base, log, revision = list[KeyValue](), list[KeyValue](), 1
    for place, value in buckets["key"]:
        revision = REVISION.unpack_from(place)[0]
        kv = from_pb(kv_pb2.KeyValue.FromString(value))
        if place.endswith(TOMBSTONE) and len(place) > REVISION.size:
            kv = KeyValue(kv.key, b"", 0, revision, 0)
        (base if revision <= compacted else log).append(kv)
    leases = [rpc_pb2.LeaseGrantRequest.FromString(_swap(value)) for _, value in buckets["lease"]]
    store.restore(max(revision, compacted), base, [(lease.ID, lease.TTL) for lease in leases], compacted, log)
    return store.revision


def save(service: Service, path: Path) -> int:
    """Write a snapshot to `path`, whole or not at all; the revision saved."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(dump(service))
    part.replace(path)
    return service.store.revision


def _keys(store: Store) -> Iterator[tuple[bytes, bytes]]:
    """Every version that is kept, by revision; those of one transaction one after another."""
    last, sub = 0, 0
    for kv in store.kept():
        last, sub = kv.mod_revision, sub + 1 if kv.mod_revision == last else 0
        place = REVISION.pack(kv.mod_revision, b"_", sub)
        if kv.version:
            yield place, to_pb(kv).SerializeToString()
        else:
            yield place + TOMBSTONE, kv_pb2.KeyValue(key=kv.key).SerializeToString()


def _lease(id: int, ttl: int) -> bytes:
    """leasepb.Lease: field 1 is the id, field 2 the time to live; of LeaseGrantRequest it is the other way round."""
    return _swap(rpc_pb2.LeaseGrantRequest(TTL=ttl, ID=id).SerializeToString())


def _swap(message: bytes) -> bytes:
    """The same two numbers with fields 1 and 2 exchanged."""
    found = rpc_pb2.LeaseGrantRequest.FromString(message)
    return bytes(rpc_pb2.LeaseGrantRequest(TTL=found.ID, ID=found.TTL).SerializeToString())


def _member(member: rpc_pb2.Member) -> bytes:
    shown = {"id": member.ID, "peerURLs": list(member.peerURLs), "name": member.name}
    if member.isLearner:
        shown["isLearner"] = True
    return orjson.dumps(shown | {"clientURLs": list(member.clientURLs)})
