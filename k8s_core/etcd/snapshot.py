"""A key space to a file and back, as `etcdctl snapshot save` and `restore` do.

The file is a JSON header, one JSON record a key, and the SHA-256 of all before it; a damaged or cut file is
refused as a whole. Only live keys are kept: like etcd after a restore, history starts anew at the saved revision.
"""

import base64
import hashlib
from pathlib import Path

import orjson

from k8s_core.etcd.store import EtcdError, KeyValue, Store

FORMAT = "k8s-core-etcd-snapshot-1"
PAGE = 512


def dump(store: Store) -> bytes:
    """The store's live keys, filled up to whole pages of 512 bytes as etcdctl expects, and their SHA-256."""
    lines = [orjson.dumps({"format": FORMAT, "revision": store.revision})]
    lines.append(orjson.dumps([[lease.id, lease.ttl] for lease in store.leases.values()]))
    for kv in store.live():
        text = [base64.b64encode(kv.key).decode(), base64.b64encode(kv.value).decode()]
        lines.append(orjson.dumps([*text, *kv[2:]]))
    body = b"\n".join(lines) + b"\n"
    body += b"\n" * (-len(body) % PAGE)
    return body + hashlib.sha256(body).digest()


def save(store: Store, path: Path) -> int:
    """Write the store's live keys to `path`, whole or not at all; returns the revision saved."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(dump(store))
    part.replace(path)
    return store.revision


def load(store: Store, path: Path) -> int:
    """Make `store` what the snapshot at `path` holds; returns its revision."""
    data = path.read_bytes()
    body, digest = data[:-32], data[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise EtcdError("DATA_LOSS", "snapshot file integrity check failed")
    header, leases, *records = (orjson.loads(line) for line in body.rstrip(b"\n").splitlines())
    if header.get("format") != FORMAT:
        raise EtcdError("DATA_LOSS", f"unknown snapshot format {header.get('format')!r}")
    kvs = [KeyValue(base64.b64decode(key), base64.b64decode(value), *rest) for key, value, *rest in records]
    store.restore(header["revision"], kvs, [(id, ttl) for id, ttl in leases])
    return store.revision
