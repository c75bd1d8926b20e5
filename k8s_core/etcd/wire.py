"""etcd's door: gRPC and HTTP/1.1 on one loopback port, told apart by a connection's first bytes, TLS if wanted.

Stands for embed/serve.go. One thread with an asyncio loop; whoever touches the store holds `lock`. gRPC's own server
cannot share a port, so it listens on a socket of its own (a file that only we can open, or another loopback port on
Windows) and the front (front.py) passes bytes on. It cannot see certificates there: each common name that turns up
gets a gRPC server of its own, which knows it. HTTP is answered by http.py.
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
from k8s_core.etcd.front import Front, Listen, Pipe
from k8s_core.etcd.http import Api
from k8s_core.etcd.service import METHODS, Journal, Service
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.watching import WatchStream
from k8s_core.limits import ETCD_GRPC_OVERHEAD, ETCD_MAX_UNSENT

Message = Any
Caller = tuple[str, str]
"""A client's token and the common name of its certificate."""
SERVING = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse."""
OPTIONS = [
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
    context.set_alpn_protocols(["http/1.1", "h2"])  # a gRPC client offers h2 alone; curl, which offers both, gets HTTP
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
        *listen: Listen,
        lock: "threading.RLock | None" = None,
        follower: Follower | None = None,
    ):
        self.service, self.lock, self.follower = service, lock or threading.RLock(), follower
        self.api = Api(service)
        self._listen = listen or (Listen(),)
        self.urls: list[str] = []
        self._servers: dict[str, asyncio.Task[tuple[grpc.aio.Server, Any]]] = {}
        self._committing = False
        self._io = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="etcd", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error:
            self._thread.join()
            raise self._error

    @property
    def url(self) -> str:
        return self.urls[0]

    def close(self) -> None:
        """Stop listening and end every connection. Safe to call twice."""
        if self._thread.is_alive():
            self._io.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    # --- the thread -----------------------------------------------------------------------------------------
    def _run(self) -> None:
        asyncio.set_event_loop(self._io)
        try:
            self._io.run_until_complete(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._ready.set()
            self._io.close()

    async def _serve(self) -> None:
        with tempfile.TemporaryDirectory(prefix="k8s-core-etcd-") as folder:
            self._folder = Path(folder)
            http, metrics = (web.Server(answer, access_log=None) for answer in (self._http, self._metrics))
            fronts = []
            try:
                for listen in self._listen:
                    fronts.append(await listen.open(metrics if listen.metrics else lambda: Front(self._connect, http)))
                    self.urls.append(listen.url(fronts[-1]))
                await self._server("")
                ticker = self._io.create_task(self._tick())
                self._ready.set()
                await self._stop.wait()
            finally:
                for front in fronts:
                    front.close()
            ticker.cancel()
            self.api.close()
            for starting in self._servers.values():
                await (await starting)[0].stop(0)
            for server in (http, metrics):
                await server.shutdown(0.1)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

    async def _connect(self, common_name: str, pipe: Callable[[], Pipe]) -> None:
        _, where = await self._server(common_name)
        if isinstance(where, int):
            await self._io.create_connection(pipe, "127.0.0.1", where)
        else:
            await self._io.create_unix_connection(pipe, where)

    def _server(self, common_name: str) -> "asyncio.Task[tuple[grpc.aio.Server, Any]]":
        """The gRPC server for clients of that name, and where it listens."""
        if common_name not in self._servers:
            self._servers[common_name] = self._io.create_task(self._start(common_name, len(self._servers)))
        return self._servers[common_name]

    async def _start(self, common_name: str, number: int) -> tuple[grpc.aio.Server, Any]:
        largest = self.service.options.max_request_bytes + ETCD_GRPC_OVERHEAD
        server = grpc.aio.server(options=[*OPTIONS, ("grpc.max_receive_message_length", largest)])
        server.add_generic_rpc_handlers((_Handlers(self, common_name),))
        path = str(self._folder / f"{number}.sock")
        port = server.add_insecure_port("127.0.0.1:0" if sys.platform == "win32" else f"unix:{path}")
        await server.start()
        return server, port if sys.platform == "win32" else path

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
    async def unary(self, name: str, request: Message, caller: Caller, context: Any) -> Message:
        try:
            with self._entered():
                journal = self.service.journal
                if journal is None:
                    return self.service.call(name, request, *caller)
                if not self.service.prepare(name, request, *caller):
                    return self.service.answer(name, request)
                answer: asyncio.Future[Message | EtcdError] = self._io.create_future()
                journal.add(name, request, lambda found: _resolve(answer, found))
            if not self._committing:
                self._committing = True
                self._io.create_task(self._commit(journal))
            found = await answer
            if isinstance(found, EtcdError):
                raise found
            return found
        except EtcdError as error:
            return await _abort(context, error)

    async def _commit(self, journal: Journal) -> None:
        """Make writes safe, while others come in, until none waits."""
        more = True
        while more:
            failed = None
            try:
                with self.lock:
                    sync = journal.write()
                if sync:
                    await self._io.run_in_executor(None, sync)
            except OSError as error:  # the disk is full, or worse
                failed = error
            with self._entered():
                more = journal.settle(failed)
        self._committing = False

    async def keep_alive(
        self, requests: AsyncIterator[Message], caller: Caller, context: Any
    ) -> AsyncIterator[Message]:
        try:
            async for request in requests:
                with self._entered():
                    response = self.service.call("lease_keep_alive", request, *caller)
                yield response
        except EtcdError as error:
            await _abort(context, error)

    async def snapshot(self, request: Message, caller: Caller, context: Any) -> AsyncIterator[Message]:
        """The whole store in pieces of 32 KiB, its digest at the end."""
        try:
            with self._entered():
                self.service.prepare("snapshot", request, *caller)
                data = snapshot.dump(self.service)
        except EtcdError as error:
            await _abort(context, error)
            return
        answer = message_factory.GetMessageClass(METHODS["/etcdserverpb.Maintenance/Snapshot"][1].output_type)
        for start in range(0, len(data), 32 * 1024):
            blob = data[start : start + 32 * 1024]
            yield answer(blob=blob, remaining_bytes=len(data) - start - len(blob))

    async def watch(self, requests: AsyncIterator[Message], caller: Caller, context: Any) -> None:
        outlet, (token, common_name) = _Outlet(self._io), caller
        with self._entered():
            stream = WatchStream(
                self.service, outlet.put, lambda: self.service.auth.user_of(token) or common_name, outlet.full
            )

        async def read() -> None:
            async for request in requests:
                with self._entered():
                    stream.receive(request)

        reader = self._io.create_task(read())
        try:
            while (response := await outlet.take()) is not None:
                await context.write(response)
                if stream.behind and not outlet.full():
                    with self._entered():
                        stream.resume()
        finally:
            reader.cancel()
            with self.lock:
                stream.close()

    # --- HTTP -----------------------------------------------------------------------------------------------
    async def _http(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.api.answer(request, self._entered)

    async def _metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.api.answer_metrics(request, self._entered)


def _resolve(future: "asyncio.Future[Any]", answer: Any) -> None:
    if not future.done():  # its client may be gone
        future.set_result(answer)


class _Outlet:
    """Messages from under the lock, in whatever thread, to the coroutine that writes them."""

    def __init__(self, io: asyncio.AbstractEventLoop):
        self._io, self._messages, self._thread = io, asyncio.Queue[Message](), threading.get_ident()
        self._put = self._taken = 0
        """Bytes so far; each is counted by one side only."""

    def put(self, message: Message) -> None:
        self._put += message.ByteSize()
        if threading.get_ident() == self._thread:
            self._messages.put_nowait(message)
        else:
            with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
                self._io.call_soon_threadsafe(self._messages.put_nowait, message)

    async def take(self) -> Message:
        message = await self._messages.get()
        self._taken += message.ByteSize()
        return message

    def full(self) -> bool:
        return self._put - self._taken > ETCD_MAX_UNSENT


def _token(context: Any) -> str:
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get("token") or metadata.get("authorization") or "")


async def _abort(context: Any, error: EtcdError) -> Message:
    return await context.abort(grpc.StatusCode[error.code], error.message)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """gRPC's routing table for one sort of caller, made from the services' descriptors; and gRPC's health service."""

    def __init__(self, wire: Wire, common_name: str):
        self._table = {path: self._handler(wire, name, method, common_name) for path, (name, method) in METHODS.items()}
        self._table["/grpc.health.v1.Health/Check"] = grpc.unary_unary_rpc_method_handler(_health)

    def service(self, details: Any) -> Any:
        return self._table.get(details.method)

    @staticmethod
    def _handler(wire: Wire, name: str, method: Any, common_name: str) -> Any:
        decode = message_factory.GetMessageClass(method.input_type).FromString
        encode = cast(Callable[[Message], bytes], lambda message: message.SerializeToString())
        codec = {"request_deserializer": decode, "response_serializer": encode}

        def caller(context: Any) -> Caller:
            return _token(context), common_name

        match name:
            case "watch":

                async def watch(requests: AsyncIterator[Message], context: Any) -> None:
                    await wire.watch(requests, caller(context), context)

                return grpc.stream_stream_rpc_method_handler(watch, **codec)
            case "lease_keep_alive":

                async def keep_alive(requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
                    async for response in wire.keep_alive(requests, caller(context), context):
                        yield response

                return grpc.stream_stream_rpc_method_handler(keep_alive, **codec)
            case "snapshot":

                async def save(request: Message, context: Any) -> AsyncIterator[Message]:
                    async for response in wire.snapshot(request, caller(context), context):
                        yield response

                return grpc.unary_stream_rpc_method_handler(save, **codec)

        async def unary(request: Message, context: Any) -> Message:
            return await wire.unary(name, request, caller(context), context)

        return grpc.unary_unary_rpc_method_handler(unary, **codec)


async def _health(request: bytes, context: Any) -> bytes:
    """For etcd as a whole; it has no other services that could be asked about."""
    if request:
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return SERVING
