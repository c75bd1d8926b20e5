"""etcd's door: gRPC and HTTP/1.1 on one loopback port, told apart by a connection's first bytes, TLS if wanted.

Stands for embed/serve.go with its cmux. One thread with an asyncio loop; whoever touches the store holds `lock`.
gRPC's own server cannot share a port, so it listens on a socket of its own (a file that only we can open, or another
loopback port on Windows) and the front passes bytes on. HTTP is answered by http.py.

A limit: behind the front gRPC does not see the client's certificate, so its common name is no etcd user.
"""

import asyncio
import contextlib
import ssl
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import grpc
from aiohttp import web
from google.protobuf import message_factory

from k8s_core.apiserver.follow import Follower
from k8s_core.clock import Loop
from k8s_core.etcd import snapshot
from k8s_core.etcd.http import Api
from k8s_core.etcd.service import MAX_REQUEST_BYTES, METHODS, Service
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.watching import WatchStream

Message = Any
HTTP2_PREFACE = b"PRI"
GRPC_OVERHEAD = 512 * 1024  # grpcOverheadBytes
MAX_WATCH_BUFFER = 256 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES + GRPC_OVERHEAD),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),  # --grpc-keepalive-min-time
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
]


def tls_context(cert: Path, key: Path, ca: Path | None, *, client_cert_auth: bool) -> ssl.SSLContext:
    """What --cert-file, --key-file, --trusted-ca-file and --client-cert-auth ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(cert, key)
    if ca:
        context.load_verify_locations(ca)
    if ca or client_cert_auth:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Wire:
    """Serves one member until `close`. OSError if the port is taken.

    With a `follower` time is moved here, on its own; without one somebody else does (a cluster's door).
    """

    def __init__(
        self,
        service: Service,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        lock: "threading.RLock | None" = None,
        follower: Follower | None = None,
        tls: ssl.SSLContext | None = None,
        api: Api | None = None,
    ):
        self.service, self.lock, self.follower = service, lock or threading.RLock(), follower
        self.api = api or Api(service)
        self.host, self.port, self.scheme = host, port, "https" if tls else "http"
        self._io = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(tls,), name="etcd", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error:
            self._thread.join()
            raise self._error

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def close(self) -> None:
        """Stop listening and end every connection. Safe to call twice."""
        if self._thread.is_alive():
            self._io.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    # --- the thread -----------------------------------------------------------------------------------------
    def _run(self, tls: ssl.SSLContext | None) -> None:
        asyncio.set_event_loop(self._io)
        try:
            self._io.run_until_complete(self._serve(tls))
        except OSError as error:
            self._error = error
        finally:
            self._ready.set()
            self._io.close()

    async def _serve(self, tls: ssl.SSLContext | None) -> None:
        with tempfile.TemporaryDirectory(prefix="k8s-core-etcd-") as folder:
            server = grpc.aio.server(options=OPTIONS)
            server.add_generic_rpc_handlers((_Handlers(self),))
            path = str(Path(folder, "grpc.sock"))
            where = "127.0.0.1:0" if sys.platform == "win32" else f"unix:{path}"
            port = server.add_insecure_port(where)
            await server.start()
            http = web.Server(self._http, access_log=None)
            connect = (
                (lambda pipe: self._io.create_connection(pipe, "127.0.0.1", port))
                if sys.platform == "win32"
                else (lambda pipe: self._io.create_unix_connection(pipe, path))
            )
            front = await self._io.create_server(lambda: _Front(connect, http), self.host, self.port, ssl=tls)
            self.port = front.sockets[0].getsockname()[1]
            ticker = self._io.create_task(self._tick())
            self._ready.set()
            await self._stop.wait()
            front.close()
            ticker.cancel()
            self.api.close()
            await server.stop(0)
            await http.shutdown(0.1)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while self.follower:
            with self.lock:
                nap = self.follower.tick()
            await asyncio.sleep(nap)

    @contextlib.contextmanager
    def _entered(self) -> Any:
        """Under the lock, at the present time, and with what is due done afterwards."""
        with self.lock:
            if self.follower:
                self.follower.request()
            yield
            loop: Loop = self.service.loop
            loop.run_ready()

    # --- gRPC -----------------------------------------------------------------------------------------------
    async def unary(self, name: str, request: Message, context: Any) -> Message:
        try:
            with self._entered():
                return self.service.call(name, request, _token(context))
        except EtcdError as error:
            return await _abort(context, error)

    async def keep_alive(self, requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
        async for request in requests:
            with self._entered():
                response = self.service.call("lease_keep_alive", request, _token(context))
            yield response

    async def snapshot(self, request: Message, context: Any) -> AsyncIterator[Message]:
        """The whole store in pieces of 32 KiB, its digest at the end."""
        with self._entered():
            data = snapshot.dump(self.service.store)
        answer = message_factory.GetMessageClass(METHODS["/etcdserverpb.Maintenance/Snapshot"][1].output_type)
        for start in range(0, len(data), 32 * 1024):
            blob = data[start : start + 32 * 1024]
            yield answer(blob=blob, remaining_bytes=len(data) - start - len(blob))

    async def watch(self, requests: AsyncIterator[Message], context: Any) -> None:
        outlet = _Outlet(self._io)
        token = _token(context)
        with self._entered():
            stream = WatchStream(self.service, outlet.put, lambda: self.service.auth.user_of(token))

        async def read() -> None:
            async for request in requests:
                with self._entered():
                    stream.receive(request)

        reader = self._io.create_task(read())
        try:
            while (response := await outlet.take()) is not None:
                await context.write(response)
        finally:
            reader.cancel()
            with self.lock:
                stream.close()

    # --- HTTP -----------------------------------------------------------------------------------------------
    async def _http(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.api.answer(request, self._entered)


class _Outlet:
    """Messages from under the lock, in whatever thread, to the coroutine that writes them."""

    def __init__(self, io: asyncio.AbstractEventLoop):
        self._io, self._messages = io, asyncio.Queue[Message]()
        self._thread, self._size = threading.get_ident(), 0

    def put(self, message: Message) -> None:
        copy = message if threading.get_ident() == self._thread else None
        if copy is not None:
            self._messages.put_nowait(copy)
        else:
            with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
                self._io.call_soon_threadsafe(self._messages.put_nowait, message)

    async def take(self) -> Message:
        return await self._messages.get()


def _token(context: Any) -> str:
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get("token") or metadata.get("authorization") or "")


async def _abort(context: Any, error: EtcdError) -> Message:
    return await context.abort(grpc.StatusCode[error.code], error.message)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """gRPC's routing table, made from the services' descriptors."""

    def __init__(self, wire: Wire):
        self._table = {path: self._handler(wire, name, method) for path, (name, method) in METHODS.items()}

    def service(self, details: Any) -> Any:
        return self._table.get(details.method)

    @staticmethod
    def _handler(wire: Wire, name: str, method: Any) -> Any:
        decode = message_factory.GetMessageClass(method.input_type).FromString
        encode = cast(Callable[[Message], bytes], lambda message: message.SerializeToString())
        codec = {"request_deserializer": decode, "response_serializer": encode}
        match name:
            case "watch":
                return grpc.stream_stream_rpc_method_handler(wire.watch, **codec)
            case "lease_keep_alive":
                return grpc.stream_stream_rpc_method_handler(wire.keep_alive, **codec)
            case "snapshot":
                return grpc.unary_stream_rpc_method_handler(wire.snapshot, **codec)

        async def unary(request: Message, context: Any) -> Message:
            return await wire.unary(name, request, context)

        return grpc.unary_unary_rpc_method_handler(unary, **codec)


class _Pipe(asyncio.Protocol):
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


class _Front(_Pipe):
    """A client's connection until its first bytes tell what it speaks."""

    def __init__(self, connect: Callable[[Callable[[], _Pipe]], Any], http: web.Server) -> None:
        self._connect, self._http, self._first = connect, http, b""
        self._task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.write(data)
            return
        self._first += data
        if self._task or len(self._first) < len(HTTP2_PREFACE):
            return
        if self._first.startswith(HTTP2_PREFACE):
            self.transport.pause_reading()
            self._task = asyncio.ensure_future(self._pass_on())
        else:
            protocol = self._http()
            self.transport.set_protocol(protocol)
            protocol.connection_made(self.transport)
            protocol.data_received(self._first)

    async def _pass_on(self) -> None:
        back = _Pipe()
        back.other = self.transport
        try:
            await self._connect(lambda: back)
        except OSError:
            self.transport.abort()
            return
        back.transport.write(self._first)
        self.other = back.transport
        with contextlib.suppress(RuntimeError):
            self.transport.resume_reading()
