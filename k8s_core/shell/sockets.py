"""Sockets of simulated processes: who listens where, and requests from one process to another.

A NetworkNamespace is what the containers of one Pod share (or the processes of a node). What lies beyond it is a
Fabric; the flat one here knows only addresses, as a bare Pod network does. k8s_core/network puts Services and DNS
in its place. A request is whole, never a byte stream: HTTP requests are objects, other protocols bytes in, bytes out.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from k8s_core.limits import ARP_SECONDS
from k8s_core.shell import tls
from k8s_core.shell.pipes import Wait
from k8s_core.shell.process import Process

HTTP_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
    308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout",
}  # fmt: skip
ROUND_TRIP = 0.001
NO_ANSWER = 130.0
"""Seconds until Linux gives up a connection nobody answers (net.ipv4.tcp_syn_retries)."""


class NetworkError(Exception):
    """A connection that failed: kind is resolve, refused, unreachable, timeout or empty."""

    def __init__(self, kind: str, message: str, address: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.address = kind, message, address


@dataclass(slots=True)
class Request:
    """One HTTP request; `source` is the address it comes from."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    source: str = ""
    certificate: bytes | None = None
    """The client's, DER, if it showed one."""
    trusted: bytes | None = None
    """The authorities that the client trusts, PEM; None if it does not check."""


@dataclass(slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return HTTP_REASONS.get(self.status, "")

    def head(self) -> str:
        """The status line, the headers and the empty line behind them."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} {self.reason}\r\n{fields}\r\n"


Answer = Generator[Wait, None, Any]
Handler = Callable[[Any], Any]
"""Takes a Request or bytes and gives a Response or bytes, or a generator that ends with one (a slow server)."""


@dataclass(slots=True)
class Listener:
    process: Process
    handler: Handler
    http: bool
    certificate: bytes = b""
    """PEM, where TLS is spoken."""
    health: Callable[[str], str] | None = None
    """gRPC's health protocol, where it is spoken: "SERVING" or another status of a service."""


class Reached(NamedTuple):
    """Who answers, on which of its ports, and the address it sees the request come from."""

    namespace: "NetworkNamespace"
    port: int
    seen_from: str


class Fabric(Protocol):
    """What connects namespaces."""

    def connect(self, source: "NetworkNamespace", address: str, port: int, protocol: str = "tcp") -> Reached:
        """Who answers at an address and port; raises NetworkError."""

    def lookup(self, source: "NetworkNamespace", name: str) -> Generator[Wait, None, str]:
        """The address of a name; raises NetworkError("resolve")."""

    def attach(self, namespace: "NetworkNamespace") -> None: ...
    def detach(self, namespace: "NetworkNamespace") -> None: ...
    def begin(self, name: str, process: Process) -> str:
        """A program that makes the network work has begun: kube-proxy, coredns. Gives the reason if it cannot."""


class FlatFabric:
    """Every namespace by its address; no Services, no DNS."""

    def __init__(self) -> None:
        self.namespaces: dict[str, NetworkNamespace] = {}

    def attach(self, namespace: "NetworkNamespace") -> None:
        self.namespaces[namespace.address] = namespace

    def detach(self, namespace: "NetworkNamespace") -> None:
        if self.namespaces.get(namespace.address) is namespace:
            del self.namespaces[namespace.address]

    def connect(self, source: "NetworkNamespace", address: str, port: int, protocol: str = "tcp") -> Reached:
        found = self.namespaces.get(source.address if address.startswith("127.") else address)
        if found is None:
            raise NetworkError("timeout", "Connection timed out", address)
        return Reached(found, port, source.address)

    def begin(self, name: str, process: Process) -> str:
        return ""

    def lookup(self, source: "NetworkNamespace", name: str) -> Generator[Wait, None, str]:
        yield ROUND_TRIP
        raise NetworkError("resolve", f"bad address '{name}'")


class NetworkNamespace:
    """One network namespace: an address, the ports listened on, and the way out.

    `node` is where it is, `pod` the name of the Pod it belongs to (none: the node's own, or a machine outside).
    `resolv_conf` gives the text of /etc/resolv.conf. What a `quiet` one sends is not kept for learners.
    """

    def __init__(
        self,
        address: str,
        fabric: Fabric,
        *,
        hostname: str = "",
        pod_namespace: str = "default",
        node: str = "",
        pod: str = "",
        resolv_conf: Callable[[], str] = str,
        quiet: bool = False,
    ) -> None:
        self.address, self.fabric, self.hostname = address, fabric, hostname
        self.pod_namespace, self.node, self.pod = pod_namespace, node, pod
        self.resolv_conf, self.quiet = resolv_conf, quiet
        self.hosts: dict[str, str] = {"localhost": "127.0.0.1", hostname: address}
        self.hosts_file: Callable[[], str] = str
        """The text of /etc/hosts, where there is one that can be edited (a node's)."""
        self.host_ports: list[tuple[str, str, int, int]] = []
        """Ports of the node that lead to a Pod: protocol, the node's address or "", port, the Pod's port."""
        self.listeners: dict[tuple[str, int], Listener] = {}
        """By protocol and port."""

    def listen(
        self,
        port: int,
        process: Process,
        handler: Handler,
        *,
        http: bool = False,
        certificate: bytes = b"",
        protocols: tuple[str, ...] = ("tcp",),
        health: Callable[[str], str] | None = None,
    ) -> bool:
        """Take a port until the process ends; False if it is taken."""
        if any((protocol, port) in self.listeners for protocol in protocols):
            return False
        listener = Listener(process, process.machine.serving(handler), http, certificate, health)
        self.listeners |= {(protocol, port): listener for protocol in protocols}
        process.at_exit.append(lambda: self.close(port, process))
        return True

    def close(self, port: int, process: Process) -> None:
        self.listeners = {
            key: each for key, each in self.listeners.items() if key[1] != port or each.process is not process
        }

    def local(self, address: str) -> bool:
        """Whether what is sent there never leaves; a node's rules see even that."""
        if self.node and not self.pod:
            return False
        return address.startswith("127.") or address in (self.address, "::1", "0.0.0.0")

    def resolve(self, name: str) -> Generator[Wait, None, str]:
        """The address a name (or address) stands for, as /etc/hosts and then DNS say."""
        if name.replace(".", "").isdigit() or ":" in name:
            return name.strip("[]")
        if name in self.hosts:
            return self.hosts[name]
        for line in self.hosts_file().splitlines():
            words = line.partition("#")[0].split()
            if name in words[1:] and ":" not in words[0]:
                return words[0]
        return (yield from self.fabric.lookup(self, name))

    def reachable(self, address: str) -> bool:
        """Whether a ping is answered."""
        if self.local(address):
            return True
        try:
            self.fabric.connect(self, address, 0, "icmp")
        except NetworkError:
            return False
        return True

    def reach(
        self, address: str, port: int, timeout: float, protocol: str = "tcp"
    ) -> Generator[Wait, None, tuple[Listener, str]]:
        """Connect: (who listens there, the address it sees); raises NetworkError after the time that takes."""
        try:
            if self.local(address):
                there = Reached(self, port, "127.0.0.1" if address.startswith("127.") else self.address)
            else:
                there = self.fabric.connect(self, address, port, protocol)
        except NetworkError as error:
            if error.kind == "timeout":
                yield min(timeout, NO_ANSWER)
            elif error.kind == "unreachable":
                yield min(timeout, ARP_SECONDS)
            raise
        yield ROUND_TRIP
        listener = there.namespace.listeners.get((protocol, there.port))
        if listener is None:
            raise NetworkError("refused", "Connection refused", address)
        return listener, there.seen_from

    def http(
        self, address: str, port: int, request: Request, timeout: float = 30.0, *, secure: bool = False
    ) -> Generator[Wait, None, Response]:
        """Send an HTTP request; raises NetworkError."""
        listener, request.source = yield from self.reach(address, port, timeout)
        if not listener.http:
            raise NetworkError("empty", "Empty reply from server", address)
        if listener.certificate:
            if not secure:
                return Response(400, b"Client sent an HTTP request to an HTTPS server.\n")
            if request.trusted is not None:
                problem = tls.problem(listener.certificate, request.trusted, request.headers.get("Host", ""))
                if problem:
                    raise NetworkError("certificate", problem, address)
        answer = listener.handler(request)
        if isinstance(answer, Response):
            return answer
        response = yield from within(answer, timeout)
        assert isinstance(response, Response)
        return response

    def tcp(
        self, address: str, port: int, data: bytes, timeout: float = 30.0, protocol: str = "tcp"
    ) -> Generator[Wait, None, bytes]:
        """Open a connection, send bytes and give the answer; raises NetworkError."""
        listener, seen_from = yield from self.reach(address, port, timeout, protocol)
        if listener.http:
            if not data:
                return b""
            method, _, rest = data.decode(errors="replace").partition(" ")
            if not method.isupper():
                return b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n400 Bad Request"
            answer = listener.handler(Request(method, rest.split(" ")[0] or "/", source=seen_from))
            if not isinstance(answer, Response):
                answer = yield from within(answer, timeout)
            return bytes(answer.head().encode() + answer.body)
        answer = listener.handler(data)
        return bytes(answer if isinstance(answer, bytes) else (yield from within(answer, timeout)))


def within(answer: Answer, timeout: float) -> Generator[Wait, None, Any]:
    """Run a slow server's generator, at most `timeout` seconds of its sleeps."""
    left = timeout
    while True:
        try:
            wait = next(answer)
        except StopIteration as stop:
            return stop.value
        if isinstance(wait, int | float):
            if wait > left:
                yield left
                raise NetworkError("timeout", "Connection timed out")
            left -= wait
        yield wait
