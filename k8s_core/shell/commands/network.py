"""Commands that talk over the network: wget, nc, ping; curl is curl.py's.

What they need of it is NetworkNamespace (k8s_core/shell/sockets.py), their machine's `network`; a machine without one
has no network. The way of a packet through Services and DNS belongs to k8s_core/network, which plugs in behind that.
"""

import re
from collections.abc import Generator

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.pipes import Steps, Wait, Waiters
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError, Request, Response

TOOLS = Table()

URL = re.compile(r"(?:(https?)://)?(?:[^@/]*@)?(\[[^\]]+\]|[^:/?#]+)(?::(\d+))?([/?].*)?$")


def http(
    process: Process,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes = b"",
    timeout: float = 30.0,
    known: dict[str, str] | None = None,
    *,
    certificate: bytes | None = None,
    trusted: bytes | None = None,
) -> Generator[Wait, None, tuple[Response, str, int, str]]:
    """(response, address, port, path); raises NetworkError, or ValueError for a bad URL.

    `known` are addresses that are not looked up, by "host:port".
    """
    match = URL.match(url)
    if not match:
        raise ValueError(url)
    scheme, host, port = match[1] or "http", match[2], int(match[3] or (443 if match[1] == "https" else 80))
    path = match[4] or "/"
    path = path if path.startswith("/") else "/" + path
    network = process.machine.network
    if network is None:
        raise NetworkError("unreachable", "Network is unreachable")
    address = (known or {}).get(f"{host}:{port}") or (yield from network.resolve(host))
    request = Request(method, path, {"Host": host if not match[3] else f"{host}:{port}", **headers}, body)
    request.certificate, request.trusted = certificate, trusted
    response = yield from network.http(address, port, request, timeout, secure=scheme == "https")
    return response, address, port, path


def header_fields(text: str) -> dict[str, str]:
    """Header lines, one a line, as a mapping."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip().title(): value.strip() for name, _, value in pairs}


@TOOLS(
    "wget",
    "qcSO:T:t:Y:U:p:e; timeout=T tries=t quiet=q output-document=O header=e spider=s post-data=p "
    "no-check-certificate=k",
)
def wget(process: Process, options: Options, operands: list[str]) -> Steps:
    if not operands:
        return process.fail("missing URL")
    url = operands[0]
    host, port = where(url)
    say = process.err if "q" not in options else lambda text: None
    headers = {"User-Agent": "Wget", "Connection": "close", **header_fields(options.get("e", ""))}
    method, limit = "POST" if "p" in options else "GET", float(options.get("T", "900"))
    try:
        if "q" not in options:
            address = yield from process.machine.network.resolve(host) if process.machine.network else _nowhere()
            say(f"Connecting to {host} ({address}:{port})\n")
        body = options.get("p", "").encode()
        response, _, _, path = yield from http(process, method, url, headers, body, limit)
    except NetworkError as error:
        if error.kind == "resolve":
            return process.fail(f"bad address '{host}'")
        if error.kind == "timeout":
            return process.fail("download timed out")
        at = f" ({error.address})" if error.address else ""
        return process.fail(f"can't connect to remote host{at}: {error.message}")
    except ValueError:
        return process.fail(f"bad address '{url}'")
    if "S" in options:
        process.err("".join(f"  {line}\n" for line in response.head().splitlines()))
    if response.status >= 400:
        return process.fail(f"server returned error: HTTP/1.1 {response.status} {response.reason}")
    if "s" in options:
        say("remote file exists\n")
        return 0
    target = options.get("O", path.split("?")[0].rsplit("/", 1)[-1] or "index.html")
    (process.stdout if target == "-" else process.open_output(target)).write(bytes(response.body))
    where_to, done = ("to stdout", "written to stdout") if target == "-" else (f"to '{target}'", f"'{target}' saved")
    say(f"{'writing' if target == '-' else 'saving'} {where_to}\n")
    say(f"{target[:20]:20} 100% |********************************| {len(response.body):5}  0:00:00 ETA\n{done}\n")
    return 0


def _nowhere() -> Generator[Wait, None, str]:
    raise NetworkError("unreachable", "Network is unreachable")
    yield 0.0


def where(url: str) -> tuple[str, int]:
    """A URL's host and port."""
    match = URL.match(url)
    return (match[2], int(match[3] or (443 if match[1] == "https" else 80))) if match else (url, 80)


@TOOLS("nc", "zvlntukw:p:e:")
def nc(process: Process, options: Options, operands: list[str]) -> Steps:
    network = process.machine.network
    if "l" in options:
        return (yield from _serve(process, options, operands))
    if len(operands) < 2 or not operands[1].isdigit():
        return process.fail("usage: nc [OPTIONS] HOST PORT")
    host, port = operands[0], int(operands[1])
    try:
        if network is None:
            raise NetworkError("unreachable", "Network is unreachable")
        address = yield from network.resolve(host)
        data = b"" if "z" in options else (yield from process.stdin.read_all())
        protocol = "udp" if "u" in options else "tcp"
        answer = yield from network.tcp(address, port, data, float(options.get("w", "130")), protocol)
    except NetworkError as error:
        if error.kind == "resolve":
            return process.fail(f"bad address '{host}'")
        return process.fail(f"{host} ({error.address}:{port}): {error.message}") if "v" in options else 1
    if "v" in options:
        process.err(f"{host} ({address}:{port}) open\n")
    process.out(answer)
    return 0


def _serve(process: Process, options: dict[str, str], operands: list[str]) -> Steps:
    """nc -l: print what comes, answer with what standard input says; one connection, or with -k any number."""
    network = process.machine.network
    port = int(options.get("p") or (operands[-1] if operands else "0"))
    said = yield from process.stdin.read_all()
    waiters = Waiters()
    served = 0

    def answer(data: bytes) -> bytes:
        nonlocal served
        served += 1
        process.out(data)
        waiters.notify()
        return said

    protocols = ("udp",) if "u" in options else ("tcp",)
    if network is None or not network.listen(port, process, answer, protocols=protocols):
        return process.fail("bind: Address already in use")
    while not served or "k" in options:
        yield waiters
    return 0


@TOOLS("ping", "q46c:W:w:i:")
def ping(process: Process, options: Options, operands: list[str]) -> Steps:
    network = process.machine.network
    if not operands:
        return process.fail("missing host operand")
    host, count = operands[0], int(options.get("c", "1000000"))
    try:
        address = yield from network.resolve(host) if network else _nowhere()
    except NetworkError:
        return process.fail(f"bad address '{host}'")
    process.print(f"PING {host} ({address}): 56 data bytes")
    got = 0
    for number in range(count):
        if network.reachable(address):
            got += 1
            process.print(f"64 bytes from {address}: seq={number} ttl=63 time=0.084 ms")
        if number < count - 1:
            yield 1.0
    lost = 100 * (count - got) // count
    process.out(
        f"\n--- {host} ping statistics ---\n{count} packets transmitted, {got} packets received, {lost}% packet loss\n"
    )
    if got:
        process.print("round-trip min/avg/max = 0.084/0.084/0.084 ms")
    return int(not got)
