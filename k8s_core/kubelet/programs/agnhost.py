"""agnhost, the image of Kubernetes' own end-to-end tests, and liveness, which the documentation uses.

Each subcommand prints and answers what those tests look for. Left out: subcommands for DNS on Windows, audit and
conntrack.
"""

import json
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import parse_qs, unquote

from k8s_core.api.times import parse_duration
from k8s_core.kubelet.programs import webhook
from k8s_core.kubelet.programs.guestbook import Guestbook
from k8s_core.kubelet.programs.mounttest import mounttest
from k8s_core.kubelet.programs.simple import idle, respond, stamps
from k8s_core.kubelet.programs.stress import vish
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Pipe, Sink, Steps, Wait, Waiters
from k8s_core.shell.process import SIGNALS, Process
from k8s_core.shell.sockets import HTTP_REASONS, NetworkError, Request, Response

METHODS, NAMESPACES = ("GET", "POST", "PUT"), ("kube-system", "default", "ns")
HEALTHY_SECONDS = 10.0


def options(process: Process, short: dict[str, str] | None = None) -> dict[str, str]:
    """The flags after the subcommand, --name=value or --name value; bare switches are "true"."""
    found: dict[str, str] = {}
    words = process.argv[2:]
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
        found[(short or {}).get(name, name)] = value
    return found


def agnhost(process: Process) -> Steps:
    """agnhost SUBCOMMAND ..."""
    what = (process.argv[1:2] or ["help"])[0]
    command = SUBCOMMANDS.get(what)
    if command is None:
        process.err(f'Error: unknown command "{what}" for "app"\nRun \'app --help\' for usage.\n')
        return 1
    return (yield from command(process))


def nonewprivs(process: Process) -> Steps:
    """nnp, a program that belongs to root and has the set-user-id bit."""
    config = getattr(process.machine, "container").config  # noqa: B009
    process.out(f"Effective uid: {process.machine.uid if config.no_new_privileges else 0}\n")
    return 0
    yield 0.0


def _say(process: Process, text: str) -> None:
    now = stamps(process)
    process.err(f"{now['slashed']} {now['time']} {text}\n")


def _pause(process: Process) -> Steps:
    process.out("Paused\n")
    return (yield from idle(process))


def _help(process: Process) -> Steps:
    process.out("Usage:\n  app [command]\n\nAvailable Commands:\n" + "".join(f"  {n}\n" for n in sorted(SUBCOMMANDS)))
    return 0
    yield 0.0


def _entrypoint_tester(process: Process) -> Steps:
    process.out(f"[{' '.join(process.argv)}]\n")
    return 0
    yield 0.0


def _file(path: str) -> Callable[[Process], Steps]:
    def command(process: Process) -> Steps:
        process.out(process.fs.read(path))
        return 0
        yield 0.0

    return command


def _resolver(word: str) -> Callable[[Process], Steps]:
    """dns-suffix, dns-server-list: what resolv.conf says, with commas between."""

    def command(process: Process) -> Steps:
        found: list[str] = []
        for line in process.fs.read("/etc/resolv.conf").decode().splitlines():
            name, *values = line.split() or [""]
            found += values if name == word else []
        process.out(",".join(found) + "\n")
        return 0
        yield 0.0

    return command


def _connect(process: Process) -> Steps:
    """connect [--timeout=T] [--protocol=P] HOST:PORT: one word says how it ended. With UDP an answer is waited for."""
    given = options(process)
    timeout, protocol = parse_duration(given.get("timeout", "10s")), given.get("protocol", "tcp").lower()
    host, _, port = next((w for w in process.argv[2:] if not w.startswith("-") and ":" in w), "").rpartition(":")
    network = process.machine.network
    try:
        address = yield from network.resolve(host)
        if protocol == "udp":
            yield from network.tcp(address, int(port), b"hello", timeout, protocol)
        else:
            yield from network.reach(address, int(port), timeout, protocol)
    except NetworkError as error:
        kinds = {"resolve": "DNS", "timeout": "TIMEOUT", "refused": "REFUSED"}
        process.err(f"{kinds.get(error.kind, 'OTHER')}: {error.message}\n")
        return 1
    except ValueError:
        process.err("UNKNOWN: bad port\n")
        return 1
    return 0


def _logs_generator(process: Process) -> Steps:
    given = options(process, {"t": "log-lines-total", "d": "run-duration"})
    total = int(given.get("log-lines-total", "0"))
    seconds = parse_duration(given.get("run-duration", "0s"))
    random = process.machine.loop.random
    for what, value, shown in (("total number of lines", total, str(total)), ("duration", seconds, f"{seconds:g}s")):
        if value <= 0:
            now = stamps(process)
            place = f"F{now['date'][5:].replace('-', '')} {now['time']}.000000       1 logs_generator.go:67] "
            process.err(f"{place}Invalid {what}: {shown}\n")
            return 255
    for number in range(total):
        now = stamps(process)
        name = process.machine.loop.suffix(random.randrange(3, 5))
        place = f"I{now['date'][5:].replace('-', '')} {now['time']}.{now['iso'][20:26]}       1 logs_generator.go:76] "
        url = f"/api/v1/namespaces/{random.choice(NAMESPACES)}/pods/{name}"
        process.err(f"{place}{number} {random.choice(METHODS)} {url} {random.randrange(200, 600)}\n")
        yield seconds / total
    return 0


def redirect(process: Process, location: str, code: int = 302) -> Response:
    """As Go's http.Redirect does it."""
    page = f'<a href="{location}">{HTTP_REASONS.get(code, "")}</a>.\n\n'
    response = respond(process, code, page, "text/html; charset=utf-8")
    response.headers["Location"] = location
    return response


def liveness(process: Process) -> Steps:
    """registry.k8s.io/liveness: healthy for ten seconds, then 500."""
    started = process.machine.loop.now

    def answer(request: Request) -> Response:
        if request.path.startswith("/redirect?loc="):
            return redirect(process, unquote(request.path.partition("=")[2]))
        age = process.machine.loop.now - started
        if age > HEALTHY_SECONDS:
            return respond(process, 500, f"error: {age:.6f}")
        return respond(process, 200, "ok")

    process.machine.network.listen(8080, process, answer, http=True)
    return (yield from idle(process))


def _grpc_health(process: Process) -> Steps:
    """grpc-health-checking: gRPC's health protocol, switched over HTTP or after a delay."""
    given = options(process)
    delay, service = float(given.get("delay-unhealthy-sec", "-1")), given.get("service", "")
    state = ["NOT_SERVING" if delay == 0 else "SERVING"]
    loop, network = process.machine.loop, process.machine.network

    def control(request: Request) -> Response:
        wanted = {"/make-serving": "SERVING", "/make-not-serving": "NOT_SERVING"}.get(request.path.partition("?")[0])
        state[0] = wanted or state[0]
        return respond(process, 200 if wanted else 404, "" if wanted else "404 page not found\n")

    def health(asked: str) -> str:
        return state[0] if asked == service else "SERVICE_UNKNOWN"

    if delay > 0:
        timer = loop.call_later(delay, state.__setitem__, 0, "NOT_SERVING", background=True)
        process.at_exit.append(timer.cancel)
    network.listen(int(given.get("http-port", "8080")), process, control, http=True)
    network.listen(int(given.get("port", "5000")), process, lambda data: b"", health=health)
    _say(process, f"Http server starting to listen on :{given.get('http-port', '8080')}")
    _say(process, f"gRPC server starting to listen on :{given.get('port', '5000')}")
    return (yield from idle(process))


def _porter(process: Process) -> Steps:
    """porter: every SERVE_PORT_n=text (SERVE_SCTP_PORT_n) of the environment is a server that answers with its text."""
    network = process.machine.network
    for name, text in process.env.items():
        prefix, _, port = name.rpartition("_")
        if prefix == "SERVE_PORT" and port.isdigit():
            network.listen(int(port), process, lambda request, text=text: respond(process, 200, text), http=True)
        elif prefix == "SERVE_SCTP_PORT" and port.isdigit():
            network.listen(int(port), process, lambda data, text=text: text.encode(), protocols=("sctp",))
    return (yield from idle(process))


def _serve_hostname(process: Process) -> Steps:
    """serve-hostname [--port=N] [--http=false] [--tcp] [--udp]: the Pod's name to whoever asks."""
    given = options(process)
    port, name = int(given.get("port", 9376)), process.machine.hostname
    network = process.machine.network
    for protocol in ("tcp", "udp"):
        if given.get(protocol) == "true":
            network.listen(port, process, lambda data: name.encode(), protocols=(protocol,))
    if given.get("http", "true") == "true" and given.get("tcp") != "true":
        network.listen(port, process, lambda request: respond(process, 200, name), http=True)
    return (yield from idle(process))


def _one_page(port: int, text: Callable[[Process, Request], str]) -> Callable[[Process], Steps]:
    def command(process: Process) -> Steps:
        chosen = int(options(process).get("port", port))
        process.machine.network.listen(
            chosen, process, lambda request: respond(process, 200, text(process, request)), http=True
        )
        return (yield from idle(process))

    return command


def _test_webserver(process: Process) -> Steps:
    """The container's file tree over HTTP, for probes."""

    def answer(request: Request) -> Response:
        try:
            return respond(process, 200, process.fs.read(request.path.partition("?")[0]).decode(errors="replace"))
        except FileError as error:
            found = str(error) == "Is a directory"
            return respond(process, 200 if found else 404, "<pre>\n</pre>\n" if found else "404 page not found\n")

    process.machine.network.listen(int(options(process).get("port", "80")), process, answer, http=True)
    return (yield from idle(process))


# --- netexec -------------------------------------------------------------------------------------------------------
class Netexec:
    """The server of one netexec."""

    def __init__(self, process: Process) -> None:
        self.process, self.told, self.woken = process, list[int](), Waiters()

    def run(self) -> Steps:
        process, given = self.process, options(self.process)
        network, port = process.machine.network, int(given.get("http-port", "8080"))
        udp, override = int(given.get("udp-port", "8081")), given.get("http-override", "")

        def answer(request: Request) -> Any:
            if override:
                request = Request("GET", override, source=request.source)
            return self.answer(request)

        if not network.listen(port, process, answer, http=True):
            _say(process, f"listen tcp :{port}: bind: address already in use")
            return 1
        _say(process, f"Started HTTP server on port {port}")
        if udp > 0 and network.listen(udp, process, self.datagram, protocols=("udp",)):
            _say(process, f"Started UDP server on port  {udp}")
        sctp = int(given.get("sctp-port", "-1"))
        if sctp > 0:
            network.listen(sctp, process, self.datagram, protocols=("sctp",))

        def handler(number: int) -> bool:
            if number in (SIGNALS["TERM"], SIGNALS["INT"]):
                self.end(2)
            return True

        process.on_signal = handler
        while not self.told:
            yield self.woken
        return self.told[0]

    def end(self, code: int) -> None:
        self.told.append(code)
        self.woken.notify()

    def datagram(self, data: bytes) -> bytes:
        word, _, rest = data.decode(errors="replace").strip().partition(" ")
        answers = {"hostname": self.process.machine.hostname, "echo": rest, "clientip": "127.0.0.1"}
        return answers.get(word.lower(), f"invalid command {data.decode(errors='replace')!r}").encode()

    def answer(self, request: Request) -> Any:
        path, _, query = request.path.partition("?")
        given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        process = self.process
        _say(process, f"{request.method} {request.path}")
        if path == "/echo":
            return respond(process, int(given.get("code") or 200), given.get("msg", ""))
        if path == "/redirect":
            return redirect(process, given.get("location", ""), int(given.get("code") or 302))
        if path == "/shell":
            return self.shell(given.get("shellCommand") or given.get("cmd") or "")
        if path == "/dial":
            return self.dial(given)
        if path in ("/exit", "/shutdown"):
            code = int(given.get("code") or 0) if path == "/exit" else 0
            wait = parse_duration(given.get("wait") or "0s")
            process.machine.loop.call_later(wait + 0.01, self.end, code)
            return respond(process, 200, "")
        plain = {
            "/": f"NOW: {stamps(process)['iso'].replace('T', ' ').replace('Z', ' +0000 UTC')} m=+0.000000001",
            "/clientip": f"{request.source}:{41000 + len(request.source)}",
            "/healthz": "", "/hostname": process.machine.hostname, "/hostName": process.machine.hostname,
            "/serverport": request.headers.get("Host", ":80").rpartition(":")[2],
        }  # fmt: skip
        return respond(process, 200, plain[path]) if path in plain else respond(process, 200, plain["/"])

    def shell(self, command: str) -> Generator[Wait, None, Response]:
        process, output, done, woken = self.process, bytearray(), list[int](), Waiters()

        def ended(code: int) -> None:
            done.append(code)
            woken.notify()

        sink = Sink(output.extend)
        process.machine.start(
            ["sh", "-c", command], env=process.env, stdin=Pipe(closed=True), stdout=sink, stderr=sink,
            parent=process, on_exit=ended, attended=True,
        )  # fmt: skip
        while not done:
            yield woken
        result = {"output": output.decode(errors="replace")} if output else {}
        result |= {"error": f"exit status {done[0]}"} if done[0] else {}
        return respond(process, 200, json.dumps(result, separators=(",", ":")))

    def dial(self, given: dict[str, str]) -> Generator[Wait, None, Response]:
        process, network = self.process, self.process.machine.network
        if not given.get("request"):
            return respond(process, 400, "request parameter not specified. <nil>\n")
        protocol = (given.get("protocol") or "http").lower()
        if protocol not in ("http", "udp", "sctp"):
            return respond(process, 400, f"unsupported protocol. {protocol}\n")
        responses, errors = list[str](), list[str]()
        for _ in range(min(int(given.get("tries") or 1), 100)):
            try:
                address, port = (yield from network.resolve(given.get("host", ""))), int(given.get("port") or 0)
                if protocol == "http":
                    page = yield from network.http(address, port, Request("GET", f"/{given['request']}"), 5.0)
                    responses.append(page.body.decode(errors="replace"))
                else:
                    data = yield from network.tcp(address, port, given["request"].encode(), 5.0, protocol)
                    responses.append(data.decode(errors="replace"))
            except NetworkError as error:
                target = f"{given.get('host')}:{given.get('port')}"
                if protocol == "http":
                    errors.append(
                        f'Get "http://{target}/{given["request"]}": dial tcp {target}: {error.message.lower()}'
                    )
                else:
                    errors.append(f"reading from {protocol} connection failed. err:'{error.message.lower()}'")
        result = ({"errors": errors} if errors else {}) | ({"responses": responses} if responses else {})
        return respond(process, 200, json.dumps(result, separators=(",", ":")))


SUBCOMMANDS: dict[str, Callable[[Process], Steps]] = {
    "connect": _connect,
    "dns-server-list": _resolver("nameserver"),
    "dns-suffix": _resolver("search"),
    "entrypoint-tester": _entrypoint_tester,
    "etc-hosts": _file("/etc/hosts"),
    "fake-gitserver": _one_page(8000, lambda process, request: "I am a fake git server"),
    "grpc-health-checking": _grpc_health,
    "guestbook": lambda process: Guestbook(process, options(process)).run(),
    "help": _help,
    "liveness": liveness,
    "logs-generator": _logs_generator,
    "mounttest": mounttest,
    "netexec": lambda process: Netexec(process).run(),
    "pause": _pause,
    "porter": _porter,
    "serve-hostname": _serve_hostname,
    "stress": vish,
    "test-webserver": _test_webserver,
    "webhook": lambda process: webhook.serve(process, options(process)),
}
