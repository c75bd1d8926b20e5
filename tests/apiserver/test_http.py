"""k8s_core.apiserver.http: the HTTPS door before a server that the test scripts."""

import asyncio
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from k8s_core.apiserver.http import Door
from k8s_core.apiserver.request import Request, Response
from k8s_core.clock import Loop
from k8s_core.pki import PKI
from k8s_core.streams import Session, Stream

PKI_ = PKI(0)
Handler = Callable[[Request], Response]


class Cluster:
    """Just what a door needs; `handler` answers."""

    def __init__(self) -> None:
        self.lock, self.loop, self.pki, self.clock = threading.RLock(), Loop(), PKI_, "step"
        self.apiserver = self.authenticator = self
        self.client_cas = [PKI_.ca.certificate]
        self.handler: Handler = lambda request: Response(object={"path": request.path})
        self.seen: list[Request] = []

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return self.handler(request)


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[Cluster, Door]]:
    cluster = Cluster()
    door = Door(cluster)
    yield cluster, door
    door.close()


def tls(user: str = "", tmp: Any = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=PKI_.ca.cert_pem.decode())
    if user:
        pair = PKI_.client(user)
        (tmp / "c.crt").write_bytes(pair.cert_pem)
        (tmp / "c.key").write_bytes(pair.key_pem)
        context.load_cert_chain(tmp / "c.crt", tmp / "c.key")
    return context


def ask(door: Door, path: str, method: str = "GET", context: ssl.SSLContext | None = None, **more: Any) -> Any:
    """(status, headers, body) of one request."""

    async def go() -> Any:
        connector = aiohttp.TCPConnector(ssl=context or tls())
        async with (
            aiohttp.ClientSession(door.url, connector=connector, auto_decompress=False) as session,
            session.request(method, path, **more) as answer,
        ):
            return answer.status, answer.headers, await answer.read()

    return asyncio.run(go())


def test_request_reaches_the_server(parts: tuple[Cluster, Door], tmp_path: Any) -> None:
    """Method, raw path, query, lower-case headers, body and the client's certificate arrive."""
    cluster, door = parts
    cluster.handler = lambda request: Response(201, {"kind": "Pod"}, headers={"Warning": '299 - "x"'})
    status, headers, body = ask(
        door, "/api/v1/pods?dryRun=All&a=", "POST", tls("jane", tmp_path), data=b"{}", headers={"X-Thing": "1"}
    )
    assert (status, body) == (201, b'{"kind":"Pod"}\n')
    assert headers["Warning"] == '299 - "x"'
    request = cluster.seen[-1]
    assert (request.method, request.path, request.query) == ("POST", "/api/v1/pods", {"dryRun": ["All"], "a": [""]})
    assert (request.body, request.headers["x-thing"]) == (b"{}", "1")
    assert request.peer_certificate == PKI_.client("jane").der


def test_pretty_and_gzip(parts: tuple[Cluster, Door]) -> None:
    """curl and ?pretty=true get indented JSON; a large answer is compressed for who accepts it."""
    cluster, door = parts
    cluster.handler = lambda request: Response(object={"a": {"b": 1}})
    assert ask(door, "/version", headers={"User-Agent": "curl/8"})[2] == b'{\n  "a": {\n    "b": 1\n  }\n}'
    assert b"\n  " in ask(door, "/version?pretty=true", headers={"User-Agent": "kubectl"})[2]
    assert b"\n  " not in ask(door, "/version?pretty=false", headers={"User-Agent": "curl/8"})[2]
    cluster.handler = lambda request: Response(object={"a": "x" * 200_000})
    _, headers, body = ask(door, "/", headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["a"]) == 200_000


def test_too_large_body(parts: tuple[Cluster, Door]) -> None:
    """A body over 3 MiB is refused with a Status."""
    status, _, body = ask(parts[1], "/api", "POST", data=b"x" * (3 * 1024 * 1024 + 2))
    assert (status, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")


def test_stream_and_cancel(parts: tuple[Cluster, Door]) -> None:
    """What a stream sends arrives piece by piece; a client that goes away cancels it."""
    cluster, door = parts
    stream, cancelled = Stream(), threading.Event()
    stream.on_cancel.append(cancelled.set)
    stream.send(b"one\n")
    cluster.handler = lambda request: Response(stream=stream)

    async def go() -> None:
        connector = aiohttp.TCPConnector(ssl=tls())
        async with (
            aiohttp.ClientSession(door.url, connector=connector) as session,
            session.get("/w?watch=1") as answer,
        ):
            assert await answer.content.readline() == b"one\n"
            with cluster.lock:
                stream.send(b"two\n")
            assert await answer.content.readline() == b"two\n"
            answer.close()

    asyncio.run(go())
    assert cancelled.wait(5)


def test_stream_without_events_answers_at_once(parts: tuple[Cluster, Door]) -> None:
    """Headers go out before the first event, so that a client knows its watch is on; the end is clean."""
    cluster, door = parts
    stream = Stream()
    cluster.handler = lambda request: Response(stream=stream)

    async def go() -> bytes:
        connector = aiohttp.TCPConnector(ssl=tls())
        async with aiohttp.ClientSession(door.url, connector=connector) as session, session.get("/w") as answer:
            with cluster.lock:
                stream.end()
            return await answer.read()

    assert asyncio.run(go()) == b""


def run_session(door: Door, session: Session, protocol: str, *frames: bytes) -> list[bytes]:
    async def go() -> list[bytes]:
        got: list[bytes] = []
        async with (
            aiohttp.ClientSession(door.url, connector=aiohttp.TCPConnector(ssl=tls())) as client,
            client.ws_connect("/exec", protocols=(protocol,)) as socket,
        ):
            assert socket.protocol == protocol
            for frame in frames:
                await socket.send_bytes(frame)
            async for message in socket:
                got.append(message.data)
        return got

    return asyncio.run(go())


def test_exec_session(parts: tuple[Cluster, Door]) -> None:
    """stdin, its end and a resize go in; stdout and the exit code as a Status come out."""
    cluster, door = parts
    session, heard = Session(stdin=True), list[bytes]()

    def stdin(data: bytes | None) -> None:
        if data is None:
            session.output(1, b"".join(heard))
            session.exit(3)
        else:
            heard.append(data)

    session.listen(stdin)
    cluster.handler = lambda request: Response(session=session)
    resize = b'\x04{"Width":100,"Height":30}'
    got = run_session(door, session, "v5.channel.k8s.io", b"\x00ab", resize, b"\x00c", b"\xff\x00")
    assert got[0] == b"\x01abc"
    status = json.loads(got[1][1:])
    assert (got[1][0], status["reason"]) == (3, "NonZeroExitCode")
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert session.size == (100, 30)


def test_exec_success_and_refusal(parts: tuple[Cluster, Door]) -> None:
    """Exit code 0 is Success; exec without an upgrade is a bad request."""
    cluster, door = parts
    session = Session()
    session.output(2, b"warn")
    session.exit(0)
    cluster.handler = lambda request: Response(session=session)
    got = run_session(door, session, "v4.channel.k8s.io")
    assert got == [b"\x02warn", b'\x03{"metadata":{},"status":"Success"}']
    status, _, body = ask(door, "/exec")
    assert (status, json.loads(body)["message"]) == (400, "Upgrade request required")


def test_nobody_waits_for_a_program_that_has_ended(parts: tuple[Cluster, Door]) -> None:
    """While a stream or a program goes on, its client counts as waiting, so time may jump. As soon as it ends, nobody
    does, however slow the client is to fetch the rest: else time would jump to whatever is due next in the cluster."""
    cluster, door = parts
    session, stream = Session(), Stream()
    cluster.handler = lambda request: Response(session=session) if request.path == "/exec" else Response(stream=stream)

    async def go() -> list[int]:
        seen = []
        async with aiohttp.ClientSession(door.url, connector=aiohttp.TCPConnector(ssl=tls())) as client:
            async with client.ws_connect("/exec", protocols=("v5.channel.k8s.io",)) as socket:
                with cluster.lock:
                    session.output(1, b"begun")
                await socket.receive()
                with cluster.lock:
                    seen.append(door.follower.waiting)
                    session.exit(0)
                    seen.append(door.follower.waiting)
            stream.send(b"one\n")
            async with client.get("/log") as answer:
                await answer.content.readline()
                with cluster.lock:
                    seen.append(door.follower.waiting)
                    stream.end()
                    seen.append(door.follower.waiting)
        return seen

    assert asyncio.run(go()) == [1, 0, 1, 0]


def test_what_a_request_sets_off_runs_before_the_next(parts: tuple[Cluster, Door]) -> None:
    """Callbacks due after one request have run when the next is served."""
    cluster, door = parts
    order: list[str] = []

    def handler(request: Request) -> Response:
        order.append(request.path)
        cluster.loop.call_soon(lambda: order.append("callback"))
        return Response(object={})

    cluster.handler = handler
    ask(door, "/1")
    ask(door, "/2")
    assert order[:3] == ["/1", "callback", "/2"]


def test_port_taken(parts: tuple[Cluster, Door]) -> None:
    """A port in use is an OSError, not a hang."""
    with pytest.raises(OSError, match="in use"):
        Door(Cluster(), parts[1].port)


def test_malformed_http(parts: tuple[Cluster, Door]) -> None:
    """Bytes that are not HTTP get 400 and the door stays open."""
    cluster, door = parts

    async def go() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=tls())
        writer.write(b"NONSENSE\x00 / HTTP/9\r\n\r\n")
        data = await reader.read(200)
        writer.close()
        return data

    assert b" 400 " in asyncio.run(go()).splitlines()[0]
    cluster.handler = lambda request: Response(object={})
    assert ask(door, "/")[0] == 200
