"""The door: HTTPS on the loopback, in a thread of its own, before an apiserver that knows nothing of sockets.

One request: read it whole, take the cluster's lock, let virtual time catch up with the wall clock (follow.py), ask
the server, give the lock back, write the answer; what the request set off among the controllers runs right after
the answer is written and before the next request is looked at. Streams (watch, logs) are written as fast as the
client reads; exec and attach are in websocket.py. Timestamps are shown on the client's clock (wallclock.py).

HTTP/2 is left out: kubectl and the official clients speak HTTP/1.1 as well.
"""

import asyncio
import contextlib
import gzip
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.payload import BytesPayload
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from k8s_core.api import errors
from k8s_core.apiserver.follow import Follower, wall_clock
from k8s_core.apiserver.request import Request, Response, parse_query
from k8s_core.apiserver.tls import Context
from k8s_core.apiserver.tunnel import Tunnel, carry
from k8s_core.apiserver.wallclock import WallClock
from k8s_core.apiserver.websocket import Channels, is_upgrade
from k8s_core.clock import Loop
from k8s_core.limits import MAX_REQUEST_BODY
from k8s_core.pki import PKI
from k8s_core.streams import Stream

HOST = "127.0.0.1"
GZIP_FROM = 128 * 1024  # defaultGzipThresholdBytes
KEEP_ALIVE = 90.0  # IdleTimeout of the secure server
PIECE = 256 * 1024
MAX_UNREAD = 64 * 1024 * 1024  # a client that lets more than this pile up is cut off
MAX_HEADER = 64 * 1024
PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")
PRETTY = orjson.OPT_INDENT_2

logger = logging.getLogger(__name__)
_SILENT = logging.getLogger(f"{__name__}.aiohttp")  # it would print a traceback for every malformed request
_SILENT.disabled = True


class Pieces(BytesPayload):
    """A large body, written piece by piece.

    asyncio's TLS copies what is left of a write with every record that it sends: a list of thirty thousand Pods was
    copied thousands of times.
    """

    async def write(self, writer: AbstractStreamWriter) -> None:
        whole = memoryview(self._value)
        for start in range(0, len(whole), PIECE):
            await writer.write(whole[start : start + PIECE])

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await self.write(writer)


class Server(Protocol):
    def handle(self, request: Request) -> Response: ...


class Cluster(Protocol):
    """What the door needs of a cluster."""

    lock: threading.RLock
    loop: Loop
    pki: PKI
    apiserver: Any

    @property
    def clock(self) -> str: ...


class Door:
    """Serves one cluster until `close`. OSError if the port is taken."""

    def __init__(self, cluster: Cluster, port: int = 0) -> None:
        self._lock, self._server, self._loop = cluster.lock, cluster.apiserver, cluster.loop
        self.follower = Follower(cluster.loop, cluster.clock)
        with self._lock:
            self.follower.start_at(wall_clock())
        self._clock = WallClock(lambda: self._loop.now - wall_clock())
        self._owing = False  # whether callbacks are due that the last request set off
        self._io = asyncio.new_event_loop()
        self._listening: asyncio.Server
        pair = cluster.pki.pair("apiserver")
        self._tls = Context(pair.cert_pem, pair.key_pem, cluster.apiserver.authenticator.client_cas, [b"http/1.1"])
        self._tasks: set[asyncio.Task[None]] = set()
        started: list[OSError | None] = []
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(port, ready, started), name="k8s-core-door", daemon=True
        )
        self._thread.start()
        ready.wait()
        if started and started[0]:
            self._thread.join()
            raise started[0]

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop listening, end every connection and the thread. Safe to call twice."""
        if self._thread.is_alive():
            self._io.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def open(self, on: bool) -> None:
        """Listen, or refuse connections and drop those there are: kube-apiserver is there or not. Takes a moment."""
        self._io.call_soon_threadsafe(lambda: self._tasks.add(self._io.create_task(self._switch(on))))

    async def _switch(self, on: bool) -> None:
        if on and not self._listening.is_serving():
            self._listening = await self._create(self.port)
        elif not on:
            self._listening.close()
            await self._handler.shutdown(0.0)

    def bind(self, connect: Callable[..., Any], port: int = 0) -> int:
        """Listen on another real port of the loopback, for one simulated port; gives the number. OSError if taken."""

        def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(carry(reader, writer, connect, self._lock, self._owe))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def listen() -> int:
            server = await asyncio.start_server(client, HOST, port)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(listen(), self._io).result()

    def listen(self, listening: socket.socket) -> None:
        """Serve HTTPS on a socket that listens already, too: one in another network namespace, say."""

        async def serve() -> None:
            await self._io.create_server(self._handler, sock=listening, ssl=self._tls)  # type: ignore[call-overload]  # see tls.py

        asyncio.run_coroutine_threadsafe(serve(), self._io).result()

    # --- the thread -----------------------------------------------------------------------------------------
    def _run(self, port: int, ready: threading.Event, started: list[OSError | None]) -> None:
        asyncio.set_event_loop(self._io)
        try:
            self._io.run_until_complete(self._serve(port, ready, started))
        finally:
            ready.set()
            self._io.run_until_complete(self._io.shutdown_asyncgens())
            self._io.close()

    async def _serve(self, port: int, ready: threading.Event, started: list[OSError | None]) -> None:
        self._stop = asyncio.Event()
        self._handler = handler = web.Server(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            access_log=None,
            logger=_SILENT,
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            auto_decompress=False,
            lingering_time=1.0,
        )
        try:
            self._listening = await self._create(port)
        except OSError as error:
            started.append(error)
            return
        self.port: int = self._listening.sockets[0].getsockname()[1]
        ready.set()
        ticker = asyncio.create_task(self._tick())
        await self._stop.wait()
        ticker.cancel()
        self._listening.close()
        handler.pre_shutdown()
        await handler.shutdown(0.2)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(ticker, *self._tasks, return_exceptions=True)

    async def _create(self, port: int) -> asyncio.Server:
        made: asyncio.Server = await self._io.create_server(
            self._handler,
            HOST,
            port,
            ssl=self._tls,
            backlog=512,  # type: ignore[call-overload]  # see tls.py
        )
        return made

    async def _tick(self) -> None:
        while True:
            with self._lock:
                nap = self.follower.tick()
            await asyncio.sleep(nap)

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._io, client_max_size=MAX_REQUEST_BODY + 1)

    # --- one request ----------------------------------------------------------------------------------------
    async def _handle(self, wire: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await wire.read() if wire.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            limit = f"Request entity too large: limit is {MAX_REQUEST_BODY}"
            answer = self._plain(wire, _failure(errors.request_too_large(limit)))
            answer.force_close()
            return answer
        request = self._request(wire, body)
        try:
            with self._lock:
                self.follower.request()
                response: Response = self._server.handle(request)
                self._owe()
        except Exception:  # nothing that a client can send may break the door
            logger.exception("%s %s", request.method, request.path)
            response = _failure(errors.internal("the server met a defect of its own; it is in its log"))
        if response.stream is not None:
            return await self._stream(wire, request, response, response.stream)
        if response.session is not None or response.connect is not None:
            if not is_upgrade(wire):
                if response.session:
                    with self._lock:
                        response.session.cancel()
                return self._plain(wire, _failure(errors.bad_request("Upgrade request required")))
            waits = self._waiting(talks=True)
            if response.connect is not None:
                with waits:
                    return await Tunnel(wire, response.connect, self._lock, self._owe).run()
            assert response.session is not None
            return await Channels(wire, response.session, self._lock, self._owe, waits).run()
        return self._plain(wire, response)

    def _request(self, wire: web.BaseRequest, body: bytes) -> Request:
        path, _, query = wire.raw_path.partition("?")
        headers: dict[str, str] = {}
        for name, value in wire.headers.items():
            key = name.lower()
            # Values of repeated headers are joined; groups to impersonate may contain commas.
            joint = "\n" if key.startswith("impersonate-") else ", "
            headers[key] = headers[key] + joint + value if key in headers else value
        connection = wire.transport.get_extra_info("ssl_object") if wire.transport else None
        asked = parse_query(query)
        if "sinceTime" in asked:
            asked["sinceTime"] = [self._clock.incoming_time(each) for each in asked["sinceTime"]]
        return Request(
            method=wire.method,
            path=path,
            query=asked,
            headers=headers,
            body=self._clock.incoming(body),
            peer_certificate=connection.getpeercert(True) if connection else None,
        )

    def _owe(self) -> None:
        """What is due now shall run soon, but after the answer has been written. In the door's thread."""
        if not self._owing:
            self._owing = True
            self._io.call_soon(self._pay)

    def _pay(self) -> None:
        with self._lock:
            self._owing = False
            self._loop.run_ready()

    @contextlib.contextmanager
    def _waiting(self, talks: bool = False) -> Any:
        with self._lock:
            self.follower.waiting += 1
            self.follower.talking += talks
        try:
            yield
        finally:
            with self._lock:
                self.follower.waiting -= 1
                self.follower.talking -= talks

    # --- answers --------------------------------------------------------------------------------------------
    def _plain(self, wire: web.BaseRequest, response: Response) -> web.Response:
        headers = {"Cache-Control": "no-cache, private", "Content-Type": response.content_type, **response.headers}
        body = response.body
        if body is None and response.object is not None:
            if _wants_pretty(wire):
                body = orjson.dumps(response.object, option=PRETTY)
            else:
                body = orjson.dumps(response.object) + b"\n"
            body = self._clock.outgoing(body)
        body = body or b""
        if len(body) >= GZIP_FROM and "gzip" in wire.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"], headers["Vary"] = "gzip", "Accept-Encoding"
        large = len(body) > PIECE
        return web.Response(status=response.code, headers=headers, body=Pieces(body) if large else body)

    async def _stream(
        self, wire: web.BaseRequest, request: Request, response: Response, stream: Stream
    ) -> web.StreamResponse:
        headers = {"Cache-Control": "no-cache, private", "Content-Type": response.content_type, **response.headers}
        answer = web.StreamResponse(status=response.code, headers=headers)
        watch = response.content_type.startswith("application/json")
        if watch:
            show: Callable[[bytes], bytes] | None = self._clock.outgoing
        else:
            show = self._clock.outgoing_lines if request.flag("timestamps") else None
        outlet = Outlet(self._io)

        def put(data: bytes) -> None:
            self.follower.shown |= watch  # nobody acts on a line of a log
            outlet.put(data)

        running = contextlib.ExitStack()

        def end() -> None:
            running.close()  # whoever only has to fetch what is there waits for nothing: time must not jump for it
            outlet.end()

        try:
            with self._lock:
                running.enter_context(self._waiting())
                stream.subscribe(put, end)
            answer.enable_chunked_encoding()
            await answer.prepare(wire)
            while (data := await outlet.take()) is not None:
                await answer.write(show(data) if show else data)
            await answer.write_eof()
        except (ConnectionError, RuntimeError):
            logger.debug("the client of %s went away", request.path)
        finally:
            with self._lock:
                running.close()
                stream.cancel()
        return answer


class Outlet:
    """Bytes from under the cluster's lock, in whatever thread, to one coroutine that writes them."""

    def __init__(self, io: asyncio.AbstractEventLoop) -> None:
        self._io, self._chunks, self._size = io, list[bytes](), 0
        self._ended = False
        self._wake = asyncio.Event()
        self._thread = threading.get_ident()

    def put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > MAX_UNREAD:
            self._chunks.clear()
            self._ended = True
        self._notify()

    def end(self) -> None:
        self._ended = True
        self._notify()

    def _notify(self) -> None:
        if threading.get_ident() == self._thread:
            self._wake.set()
            return
        with contextlib.suppress(RuntimeError):  # the door has closed meanwhile
            self._io.call_soon_threadsafe(self._wake.set)

    async def take(self) -> bytes | None:
        """All that has come since; None at the end."""
        while not self._chunks:
            if self._ended:
                return None
            self._wake.clear()
            if not self._chunks and not self._ended:
                await self._wake.wait()
        chunks, self._chunks, self._size = self._chunks, [], 0
        return b"".join(chunks)


def _failure(error: errors.StatusError) -> Response:
    return Response(error.code, error.status)


def _wants_pretty(wire: web.BaseRequest) -> bool:
    asked = wire.query.get("pretty")
    if asked is not None:
        return asked.lower() in ("1", "t", "true", "")
    return wire.headers.get("User-Agent", "").startswith(PRETTY_AGENTS)
