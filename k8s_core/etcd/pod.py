"""etcd as a program in a Pod, and the way to it from etcdctl: simulated connections, TLS checked by real certificates.

`programs` is what the etcd image has beyond its tools. The program holds port 2379 of its Pod's network while it runs;
who connects sends a `Call`. Its data directory is written when it ends and read when it begins, so that one can be put
in place of another: `snapshot restore` makes one (without users, and without API 2's tree). The messages' classes are
loaded with the first call: a cluster must be quick to start.
"""

import contextlib
import hashlib
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from k8s_core.etcd.flags import FLAGS, IGNORED
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.shell.commands.etcdctl import etcdctl
from k8s_core.shell.commands.etcdctl_snapshot import etcdutl
from k8s_core.shell.fs import FileError, FileSystem
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import Response

if TYPE_CHECKING:
    from k8s_core.clock import Loop
    from k8s_core.etcd.service import Service

IMAGE = "registry.k8s.io/etcd"
CLIENT_PORT = 2379
DATABASE = "member/snap/db"
"""Where a data directory keeps it."""
KNOWN = frozenset({*FLAGS, *IGNORED.split(), "version"})
"""The flags of etcd."""


@dataclass(slots=True)
class Call:
    """One request on a connection: a v3 `method` with its message, "watch" with `on_response`, or "v2"."""

    method: str
    request: Any
    token: str = ""
    tls: bool = False
    certificate: bytes = b""
    """The client's, PEM."""
    trusted: bytes = b""
    """The client's CA, PEM; empty if it does not check."""
    on_response: Callable[[Any], None] | None = None


class Handshake(Exception):
    """A connection that came to nothing; the text is what the client's log says."""


@dataclass
class Member:
    """The etcd of one cluster, behind whatever Pod runs it."""

    store: Store
    loop: "Loop"
    address: str
    name: str
    on_change: Callable[[bool], None] = lambda running: None
    """Told when etcd's program begins or ends."""
    _service: "Service | None" = None
    durable: bool = True
    """Whether there will be another process; False when the cluster ends."""
    _left: bytes | None = None
    """The digest of the database that it left on disk when it ended; None while its first process runs."""

    @property
    def service(self) -> "Service":
        if self._service is None:
            from k8s_core.etcd.members import Members  # noqa: PLC0415  gRPC's modules come with it
            from k8s_core.etcd.service import Service  # noqa: PLC0415

            members = Members(self.store, name=self.name, client_url=f"https://{self.address}:{CLIENT_PORT}")
            members.members[members.id].peerURLs[:] = [f"https://{self.address}:2380"]
            own = getattr(self.store, "service", None)  # a group has one
            self._service = own() if own else Service(self.store, self.loop, members)
        return self._service

    def begin(self, fs: FileSystem, folder: str) -> None:
        """Begin from what a data directory holds. What this member left there itself is what it still has."""
        if type(self.store) is not Store:  # a group's members, or a real etcd, keep their own
            return
        try:
            database = fs.read(f"{folder}/{DATABASE}")
        except FileError:
            database = b""
        if not database and self._left is not None:
            self.store.restore(1, (), compacted=-1)  # an empty directory: a new etcd
        elif database and hashlib.sha256(database).digest() != self._left:
            from k8s_core.etcd import snapshot  # noqa: PLC0415  gRPC's modules come with it

            snapshot.load_database(self.store, database)

    def leave(self, fs: FileSystem, folder: str) -> None:
        """The process has ended: what it knew is on disk."""
        if type(self.store) is not Store or not self.durable:
            return
        from k8s_core.etcd import snapshot  # noqa: PLC0415  gRPC's modules come with it

        database = snapshot.body(snapshot.dump(self.service))
        self._left = hashlib.sha256(database).digest()
        with contextlib.suppress(FileError):
            fs.make_directories(posixpath.dirname(f"{folder}/{DATABASE}"))
            fs.write(f"{folder}/{DATABASE}", database)

    def answer(self, call: Call) -> Any:
        """What a client gets: a message, an EtcdError, a v2 answer, or a stream to be closed."""
        if call.method == "watch":
            from k8s_core.etcd.watching import WatchStream  # noqa: PLC0415

            stream = WatchStream(self.service, call.on_response or (lambda response: None))
            stream.receive(call.request)
            return stream
        if call.method == "snapshot":
            from k8s_core.etcd import snapshot  # noqa: PLC0415

            return snapshot.dump(self.service)
        if call.method == "v2":
            return self.service.v2.ask(*call.request)
        try:
            return self.service.call(call.method, call.request, call.token)
        except EtcdError as error:
            return error


def programs(member: Member) -> Mapping[str, Mapping[str, Command]]:
    """Commands by image, for Kubelet(programs=...)."""

    def etcd(process: Process) -> Steps:
        unknown = [w for w in process.argv[1:] if w.lstrip("-").partition("=")[0] not in KNOWN]
        if unknown:
            process.err(f"flag provided but not defined: {unknown[0].partition('=')[0].replace('--', '-')}\n")
            return 2
        flags = dict(argument.lstrip("-").partition("=")[::2] for argument in process.argv[1:])
        try:
            server, _, trusted = (
                _read(process, flags.get(f"{name}-file", "")) for name in ("cert", "key", "trusted-ca")
            )
        except FileError as error:
            process.err(_log(process, "fatal", "discovery failed", error=str(error)))
            return 1

        def answer(call: Any) -> Any:
            if not isinstance(call, Call):
                return b""
            try:
                handshake(call, server, trusted)
            except Handshake as error:
                return error
            return member.answer(call)

        folder = flags.get("data-dir") or f"{flags.get('name', 'default')}.etcd"
        network = process.machine.network
        port = urlsplit(flags.get("listen-client-urls", "").split(",")[0]).port or CLIENT_PORT
        metrics = urlsplit(flags.get("listen-metrics-urls", "")).port
        if metrics:
            healthy = Response(200, b'{"health":"true","reason":""}')
            network.listen(metrics, process, lambda request: healthy, http=True)
        if not network.listen(port, process, answer, health=lambda service: "SERVING"):
            taken = f"listen tcp 127.0.0.1:{port}: bind: address already in use"
            process.err(_log(process, "fatal", "discovery failed", error=taken))
            return 1
        try:
            member.begin(process.fs, folder)
        except EtcdError as error:
            process.err(_log(process, "fatal", "failed to open database", error=error.message))
            return 1
        process.at_exit += [lambda: member.leave(process.fs, folder), lambda: member.on_change(False)]
        member.on_change(port == CLIENT_PORT)
        process.err(_log(process, "info", "ready to serve client requests"))
        process.err(_log(process, "info", "serving client traffic securely", address=f"127.0.0.1:{port}"))
        number = yield from process.wait_signal("TERM", "INT")
        process.err(_log(process, "info", "received signal; shutting down", signal=f"{number.lower()}inated"))
        return 0

    return {IMAGE: {"etcd": etcd, "etcdctl": etcdctl, "etcdutl": etcdutl}}


def _read(process: Process, path: str) -> bytes:
    try:
        return process.fs.read(path) if path else b""
    except FileError as error:
        raise FileError(f"open {path}: {str(error).lower()}") from None


def handshake(call: Call, server: bytes, trusted: bytes) -> None:
    """Handshake unless both sides find what they want."""
    if bool(server) != call.tls:
        text = "first record does not look like a TLS handshake"
        raise Handshake(
            f'connection error: desc = "transport: authentication handshake failed: tls: {text}"'
            if call.tls
            else 'connection error: desc = "error reading server preface: EOF"'
        )
    failed = 'connection error: desc = "transport: authentication handshake failed: {}"'
    if server and not (call.trusted and _issued(server, call.trusted)):
        raise Handshake(failed.format("x509: certificate signed by unknown authority"))
    if trusted and not (call.certificate and _issued(call.certificate, trusted)):
        raise Handshake(failed.format("remote error: tls: bad certificate"))


def _issued(certificate: bytes, authority: bytes) -> bool:
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _log(process: Process, level: str, text: str, **more: str) -> str:
    """A line as zap writes it."""
    stamp = process.machine.loop.micro_timestamp()[:-4] + "Z"
    extra = "".join(f',"{name}":"{value}"' for name, value in more.items())
    return f'{{"level":"{level}","ts":"{stamp}","caller":"embed/etcd.go:1","msg":"{text}"{extra}}}\n'
