"""etcdctl's and etcdutl's `snapshot`: save one from a server, look into it, make a data directory of it.

Stands for ctlv3/command/snapshot_command.go and etcdutl. What a restored directory holds is the snapshot's own
database; etcd's program (etcd/pod.py) begins from it. Left out: --bump-revision, and members other than this one.
"""

import hashlib
import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from k8s_core.shell.commands.etcdctl_asks import Failure
from k8s_core.shell.fs import Directory, FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.shell.commands.etcdctl import Client

SEGMENT = "0000000000000000-0000000000000000.wal"
DEFAULT = {
    "name": "default", "data-dir": "", "wal-dir": "", "initial-cluster": "default=http://localhost:2380",
    "initial-advertise-peer-urls": "http://localhost:2380", "initial-cluster-token": "etcd-cluster",
}  # fmt: skip
"""The flags of `snapshot restore` that have a value."""
UTL_VERSION = "etcdutl version: 3.5.12\nAPI version: 3.5\n"


def etcdutl(process: Process) -> Steps:
    """What etcdctl 3.6 cannot do any more, because it needs no server."""
    from k8s_core.shell.commands.etcdctl import Client  # noqa: PLC0415  it imports this module
    from k8s_core.shell.commands.etcdctl_print import table  # noqa: F401, PLC0415  messages' classes come with it

    try:
        client = Client(process)
        match client.words:
            case ["version"]:
                process.out(UTL_VERSION)
                return 0
            case ["snapshot", "status" | "restore" as name, *words]:
                return {"status": status, "restore": restore}[name](client, words)
        unknown = f'unknown command "{" ".join(client.words)}" for "etcdutl"'
        raise Failure(unknown, log=f"Error: {unknown}\nRun 'etcdutl --help' for usage.\n")
    except Failure as failure:
        process.err(f"{failure.log}Error: {failure}\n")
        return failure.code
    yield 0.0


def deprecated(command: Callable[["Client", list[str]], int], client: "Client", words: list[str]) -> int:
    """etcdctl 3.5 still does it, and says who will."""
    client.process.err(f"Deprecated: Use `etcdutl snapshot {command.__name__}` instead.\n\n")
    return command(client, words)


def save(client: "Client", words: list[str]) -> Steps:
    from k8s_core.shell.commands.etcdctl_print import size  # noqa: PLC0415

    if len(words) != 1:
        raise Failure("snapshot save expects one argument", 128)
    path, process = words[0], client.process
    part = f"{path}.part"
    try:
        process.open_output(part)
    except FileError as error:
        raise Failure(f"could not open {part} (open {part}: {str(error).lower()})", 5) from None
    _log(client, "snapshot/v3_snapshot.go:65", "created temporary db file", path=part)
    _log(client, "snapshot/v3_snapshot.go:73", "fetching snapshot", endpoint=client.endpoints[0])
    try:
        data: bytes = yield from client.call("snapshot", None)
    finally:
        process.fs.remove(part, process.cwd)
    _log(
        client, "snapshot/v3_snapshot.go:88", "fetched snapshot", endpoint=client.endpoints[0],
        size=size(len(data)), took="now",
    )  # fmt: skip
    process.open_output(path).write(data)
    _log(client, "snapshot/v3_snapshot.go:97", "saved", path=path)
    client.out(f"Snapshot saved at {path}\n")
    return 0


def status(client: "Client", words: list[str]) -> int:
    from k8s_core.etcd import snapshot  # noqa: PLC0415  messages' classes come with it
    from k8s_core.etcd.store import EtcdError  # noqa: PLC0415
    from k8s_core.shell.commands.etcdctl_print import size, table  # noqa: PLC0415

    data = _source(client, words, "status", "stat")
    try:
        found = snapshot.status(data)
    except EtcdError as error:
        raise Failure(error.message) from None
    row = (f"{found.hash:x}", str(found.revision), str(found.keys), size(found.size))
    match client.format:
        case "json":
            shown = {"hash": found.hash, "revision": found.revision, "totalKey": found.keys, "totalSize": found.size}
            client.out(orjson.dumps(shown) + b"\n")
        case "fields":
            names = ("Hash", "Revision", "Keys", "Size")
            client.out("".join(f'"{name}" : {value}\n' for name, value in zip(names, found, strict=True)))
        case "table":
            client.out(table(("HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"), [row]))
        case _:
            client.out(", ".join(row) + "\n")
    return 0


def restore(client: "Client", words: list[str]) -> int:
    from k8s_core.etcd import snapshot  # noqa: PLC0415  as above
    from k8s_core.etcd.store import EtcdError  # noqa: PLC0415

    fs, cwd = client.process.fs, client.process.cwd
    given = DEFAULT | client.options
    if len(words) != 1:
        raise Failure("snapshot restore requires exactly one argument", 128)
    members = dict(each.partition("=")[::2] for each in given["initial-cluster"].split(","))
    name, url = given["name"], given["initial-advertise-peer-urls"]
    if name not in members:
        raise Failure(f'couldn\'t find local name "{name}" in the initial cluster configuration')
    if members[name] != url:
        raise Failure(
            f"--initial-cluster has {name}={members[name]} but missing from --initial-advertise-peer-urls={url}"
        )
    folder = given["data-dir"] or f"{name}.etcd"
    node = fs.lookup(folder, cwd)
    if node is not None and not (isinstance(node, Directory) and not node.names()):
        raise Failure(f'data-dir "{folder}" not empty or could not be read')
    wal, snap = given["wal-dir"] or posixpath.join(folder, "member/wal"), posixpath.join(folder, "member/snap")
    places = {"path": words[0], "wal-dir": wal, "data-dir": folder, "snap-dir": snap}
    _tell(client, "snapshot/v3_snapshot.go:248", "restoring snapshot", places)
    data = _source(client, words, "restore", "open")
    try:
        body = snapshot.body(data, check="skip-hash-check" not in client.options)
    except EtcdError as error:
        raise Failure(error.message) from None
    try:
        for place in (snap, wal):
            fs.make_directories(place, cwd)
        fs.write(f"{snap}/db", body, cwd)
        fs.write(f"{wal}/{SEGMENT}", b"", cwd)
    except FileError as error:
        raise Failure(f"mkdir {folder}: {str(error).lower()}") from None
    _tell(client, "membership/store.go:141", "Trimming membership information from the backend...", None)
    id = hashlib.sha1(url.encode() + given["initial-cluster-token"].encode(), usedforsecurity=False).hexdigest()[:16]
    cluster = hashlib.sha1(id.encode(), usedforsecurity=False).hexdigest()[:16]
    added = {"cluster-id": cluster, "local-member-id": "0", "added-peer-id": id, "added-peer-peer-urls": [url]}
    _tell(client, "membership/cluster.go:421", "added member", added)
    _tell(client, "snapshot/v3_snapshot.go:269", "restored snapshot", places)
    return 0


def _source(client: "Client", words: list[str], command: str, verb: str) -> bytes:
    if len(words) != 1:
        raise Failure(f"snapshot {command} requires exactly one argument", 128)
    try:
        return client.process.fs.read(words[0], client.process.cwd)
    except FileError as error:
        raise Failure(f"{verb} {words[0]}: {str(error).lower()}") from None


def _log(client: "Client", caller: str, text: str, **more: str) -> None:
    """A line as etcd's client logs it."""
    stamp = client.process.machine.loop.micro_timestamp()[:-4] + "Z"
    line = {"level": "info", "ts": stamp, "caller": caller, "msg": text, **more}
    client.process.err(orjson.dumps(line).decode() + "\n")


def _tell(client: "Client", caller: str, text: str, more: object) -> None:
    """A line as etcdutl logs it, for people."""
    stamp = client.process.machine.loop.micro_timestamp()[:19] + "Z"
    shown = "" if more is None else "\t" + orjson.dumps(more).decode().replace('":', '": ').replace(',"', ', "')
    client.process.err(f"{stamp}\tinfo\t{caller}\t{text}{shown}\n")
