"""Programs without much behaviour: idling, answering one page, a server that is only its log lines."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from k8s_core.kubelet.images import Image
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import Request, Response

if TYPE_CHECKING:
    from k8s_core.kubelet.container import ContainerConfig


def stamps(process: Process) -> dict[str, str]:
    """The time as log lines of different programs write it."""
    return {**_stamps(process.machine.loop.now), "hostname": process.machine.hostname}


@lru_cache(64)
def _stamps(seconds: float) -> dict[str, str]:
    now = datetime.fromtimestamp(seconds, UTC)
    return {
        "date": now.strftime("%Y-%m-%d"),
        "slashed": now.strftime("%Y/%m/%d"),
        "time": now.strftime("%H:%M:%S"),
        "iso": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z",
        "log4j": now.strftime("%d-%b-%Y %H:%M:%S.") + f"{now.microsecond // 1000:03}",
    }


def config(process: Process) -> "ContainerConfig | None":
    """How the container was asked for, if the process runs in one."""
    container = getattr(process.machine, "container", None)
    return container.config if container else None


def idle(process: Process) -> Steps:
    """Does nothing until it is told to end."""
    yield from process.wait_signal("TERM", "INT", "QUIT")
    return 0


def wrapper(process: Process) -> Steps:
    """A docker-entrypoint.sh: prepares nothing and takes the place of its arguments."""
    arguments = process.argv[1:]
    command = process.machine.find(arguments[0]) if arguments else None
    if command is None:
        name = arguments[0] if arguments else ""
        process.err(f"{process.argv[0]}: exec: line 1: {name}: not found\n")
        return 127
    process.argv = arguments
    return (yield from command(process))


def respond(process: Process, status: int, body: str, kind: str = "text/plain; charset=utf-8") -> Response:
    now = datetime.fromtimestamp(process.machine.loop.now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"Date": now, "Content-Type": kind, "Content-Length": str(len(body.encode()))}
    return Response(status, body.encode(), headers)


def generic(process: Process) -> Steps:
    """An image nobody knows: listens on the ports its container declares and answers with a line."""
    known = config(process)
    for port in known.ports if known else ():

        def answer(request: Request, port: int = port) -> Response:
            return respond(process, 200, f"Hello from {process.machine.hostname}:{port}{request.path}\n")

        if process.machine.network:
            process.machine.network.listen(port, process, answer, http=True, health=lambda service: "SERVING")
    return (yield from idle(process))


def http_program(image: Image) -> Command:
    """A program that answers every path with the image's one page."""
    page: dict[str, Any] = image.data["http"]

    def program(process: Process) -> Steps:
        def answer(request: Request) -> Response:
            values = {
                "tag": image.tag.split(".")[0].lstrip("v"),
                "source": request.source,
                "path": request.path,
                "method": request.method,
                **stamps(process),
            }
            body = str(page["body"])
            for name, value in values.items():
                body = body.replace(f"{{{name}}}", value)
            return respond(process, 200, body, "text/html" if body.lstrip().startswith("<") else "text/plain")

        if not process.machine.network.listen(page["port"], process, answer, http=True):
            process.err(f"listen tcp :{page['port']}: bind: address already in use\n")
            return 1
        for line in page.get("log", ()):
            process.out(line.format(**stamps(process)) + "\n")
        return (yield from idle(process))

    return program


def logged_server(image: Image) -> Command:
    """A server that needs some environment, takes a while to start, and then holds its port."""
    server: dict[str, Any] = image.data["server"]

    def program(process: Process) -> Steps:
        if server.get("requires") and not any(process.env.get(name) for name in server["requires"]):
            for line in server["missing"]:
                process.err(line.format(**stamps(process)) + "\n")
            return 1
        yield float(server.get("start", 0.5))
        status = server.get("http")

        def answer(request: Any) -> Any:
            return respond(process, status, "404 page not found\n" if status == 404 else "{}\n") if status else b""

        if not process.machine.network.listen(server["port"], process, answer, http=bool(status)):
            process.err(f"bind: Address already in use: port {server['port']}\n")
            return 1
        for line in server["log"]:
            process.err(line.format(**stamps(process)) + "\n")
        return (yield from idle(process))

    return program
