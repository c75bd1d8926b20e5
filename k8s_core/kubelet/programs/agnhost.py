"""The images of Kubernetes' own end-to-end tests and documentation: agnhost and liveness."""

from k8s_core.kubelet.programs.simple import idle, respond, stamps
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import Request, Response


def agnhost(process: Process) -> Steps:
    """agnhost pause | netexec | serve-hostname | logs-generator | entrypoint-tester | liveness."""
    what, arguments = (process.argv[1:2] or ["pause"])[0], process.argv[2:]
    if what == "pause":
        process.out("Paused\n")
        return (yield from idle(process))
    if what == "entrypoint-tester":
        process.out(f"{[process.argv[0], *process.argv[1:]]}\n".replace("'", '"').replace(",", ""))
        return 0
    if what == "liveness":
        return (yield from liveness(process))
    if what == "logs-generator":
        return (yield from _logs_generator(process, arguments))
    if what in ("netexec", "serve-hostname", "test-webserver"):
        default = {"netexec": 8080, "serve-hostname": 9376, "test-webserver": 80}[what]
        port = int(_option(arguments, "http-port" if what == "netexec" else "port", str(default)))
        process.machine.network.listen(port, process, lambda request: _netexec(process, request, what), http=True)
        if what == "netexec":
            udp = int(_option(arguments, "udp-port", "8081"))
            process.machine.network.listen(udp, process, lambda data: _datagram(process, data), protocols=("udp",))
            process.err(f"{stamps(process)['slashed']} {stamps(process)['time']} Started HTTP server on port {port}\n")
        return (yield from idle(process))
    process.err(f'Error: unknown command "{what}" for "app"\n')
    return 1


def _option(arguments: list[str], name: str, default: str) -> str:
    for index, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
        if argument == f"--{name}" and index + 1 < len(arguments):
            return arguments[index + 1]
    return default


def _datagram(process: Process, data: bytes) -> bytes:
    """netexec's other door: "hostname" and "echo TEXT" over UDP."""
    word, _, rest = data.decode(errors="replace").strip().partition(" ")
    return {"hostname": process.machine.hostname.lower(), "echo": rest}.get(word.lower(), "").encode()


def _netexec(process: Process, request: Request, what: str) -> Response:
    path, _, query = request.path.partition("?")
    if path == "/hostname" or what == "serve-hostname":
        return respond(process, 200, process.machine.hostname)
    if path == "/clientip":
        return respond(process, 200, f"{request.source}:41234")
    if path == "/echo":
        return respond(process, 200, query.removeprefix("msg=").replace("+", " "))
    if path in ("/healthz", "/readyz"):
        return respond(process, 200, "")
    if path in ("/", "/hostName"):
        return respond(process, 200, f"NOW: {stamps(process)['iso']}" if path == "/" else process.machine.hostname)
    return respond(process, 404, "404 page not found\n")


def _logs_generator(process: Process, arguments: list[str]) -> Steps:
    total = int(_option(arguments, "log-lines-total", "10"))
    seconds = float(_option(arguments, "run-duration", "10s").rstrip("s"))
    for number in range(total):
        values = stamps(process)
        process.out(
            f"I{values['date'][5:].replace('-', '')} {values['time']}.000000       1 logs_generator.go:76] {number} "
            f"GET /api/v1/namespaces/ns/pods/{number:04x} 200\n"
        )
        yield seconds / max(total, 1)
    return 0


def liveness(process: Process) -> Steps:
    """registry.k8s.io/liveness: healthy for ten seconds, then 500."""
    started = process.machine.loop.now

    def answer(request: Request) -> Response:
        age = process.machine.loop.now - started
        if age > 10:
            return respond(process, 500, f"error: {age:.6f}")
        return respond(process, 200, "ok")

    process.machine.network.listen(8080, process, answer, http=True)
    return (yield from idle(process))
