"""What a client's connection meets first: is it gRPC (HTTP/2 begins with "PRI") or HTTP/1.1? etcd's cmux.

An HTTP/1.1 connection is handed to aiohttp. The bytes of a gRPC connection are passed on to wherever `connect` leads,
which is told the common name of the client's certificate.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

PREFACE = b"PRI"


class Pipe(asyncio.Protocol):
    """One end of a connection that is passed on: what comes in goes out at `other`."""

    transport: asyncio.Transport
    other: "asyncio.Transport | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other:
            self.other.close()

    def pause_writing(self) -> None:
        if self.other:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other:
            self.other.resume_reading()


@dataclass(frozen=True)
class Listen:
    """Where to listen: a host and a port (0: a free one), or a socket's path; with TLS if there is a context."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    metrics: bool = False
    """Metrics and health alone, over HTTP."""

    async def open(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.Server:
        io = asyncio.get_running_loop()
        if self.host.startswith("/"):
            return await io.create_unix_server(factory, self.host, ssl=self.tls)
        return await io.create_server(factory, self.host, self.port, ssl=self.tls)

    def url(self, server: asyncio.Server) -> str:
        if self.host.startswith("/"):
            return f"unix://{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{server.sockets[0].getsockname()[1]}"


Connect = Callable[[str, Callable[[], Pipe]], Awaitable[Any]]


class Front(Pipe):
    """A client's connection until its first bytes tell what it speaks."""

    def __init__(self, connect: Connect, http: web.Server) -> None:
        self._connect, self._http, self._first = connect, http, b""
        self._task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.write(data)
            return
        self._first += data
        if self._task or len(self._first) < len(PREFACE):
            return
        if self._first.startswith(PREFACE):
            self.transport.pause_reading()
            self._task = asyncio.ensure_future(self._pass_on())
        else:
            protocol = self._http()
            self.transport.set_protocol(protocol)
            protocol.connection_made(self.transport)
            protocol.data_received(self._first)

    async def _pass_on(self) -> None:
        back = Pipe()
        back.other = self.transport
        try:
            await self._connect(_common_name(self.transport), lambda: back)
        except OSError:
            self.transport.abort()
            return
        back.transport.write(self._first)
        self.other = back.transport
        with contextlib.suppress(RuntimeError):
            self.transport.resume_reading()


def _common_name(transport: asyncio.Transport) -> str:
    """Of the client's certificate; "" without one."""
    certificate = transport.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if names else ""
