"""Probes and lifecycle hooks: http, tcp, exec, grpc and sleep against a running container.

Stands for pkg/kubelet/prober and pkg/kubelet/lifecycle. A Probe belongs to one run of a container; it counts
successes and failures and tells the Pod's worker when its verdict changes. Messages are those of `Unhealthy` events.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from k8s_core.api import Object
from k8s_core.kubelet.container import RUNNING, Container, RuntimeFailure
from k8s_core.kubelet.runtime import Runtime
from k8s_core.shell.pipes import Pipe, Sink, Steps, Wait
from k8s_core.shell.process import SIGNALS
from k8s_core.shell.sockets import NetworkError, NetworkNamespace, Request
from k8s_core.shell.task import Task

if TYPE_CHECKING:
    from k8s_core.clock import Loop, Timer

SUCCESS, WARNING, FAILURE, UNKNOWN = "success", "warning", "failure", "unknown"
MAX_REDIRECTS = 10
Done = Callable[[str, str], None]
"""Gets SUCCESS, WARNING, FAILURE or UNKNOWN and the output."""
EXEC_OUTPUT = 10 * 1024


def port_of(container: Object, port: Any) -> int | None:
    """The number of a port that may be named."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    return next((p["containerPort"] for p in container.get("ports") or () if p.get("name") == port), None)


class Actions:
    """Carries out probe handlers and hooks on one node."""

    def __init__(self, loop: "Loop", runtime: Runtime, network: NetworkNamespace) -> None:
        self.loop, self.runtime, self.network = loop, runtime, network

    def perform(self, handler: Object, spec: Object, run: Container, timeout: float, done: Done) -> None:
        """Run one handler against a container; `done` is called once, from the loop."""
        answered: list[bool] = []

        def once(result: str, output: str) -> None:
            if not answered:
                answered.append(True)
                done(result, output)

        if "exec" in handler:
            self._exec(list(handler["exec"].get("command") or ()), run, timeout, once)
        elif "httpGet" in handler:
            self._task(self._http(handler["httpGet"], spec, run, timeout), run, once)
        elif "tcpSocket" in handler:
            self._task(self._tcp(handler["tcpSocket"], spec, run, timeout), run, once)
        elif "grpc" in handler:
            self._task(self._grpc(handler["grpc"], run, timeout), run, once)
        elif "sleep" in handler:
            self.loop.call_later(float(handler["sleep"].get("seconds", 0)), once, SUCCESS, "")
        else:
            self.loop.call_soon(once, SUCCESS, "")

    def _task(self, steps: Generator[Wait, None, tuple[str, str]], run: Container, done: Done) -> None:
        def program() -> Steps:
            result, output = yield from steps
            done(result, output)
            return 0

        Task(self.loop, program(), lambda code: None, lambda: self.loop.now >= run.waited_for_until)

    def _http(
        self, action: Object, spec: Object, run: Container, timeout: float
    ) -> Generator[Wait, None, tuple[str, str]]:
        port = port_of(spec, action["port"])
        if port is None:
            return UNKNOWN, f"invalid port number: {action['port']}"
        host = action.get("host") or run.sandbox.network.address
        path = action.get("path") or "/"
        scheme = (action.get("scheme") or "HTTP").lower()
        url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
        headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
        headers |= {h["name"]: h.get("value", "") for h in action.get("httpHeaders") or ()}
        source = run.sandbox.network if host.startswith("127.") else self.network
        try:
            address = yield from source.resolve(host)
            request = Request("GET", path if path.startswith("/") else "/" + path, headers)
            for _ in range(MAX_REDIRECTS):
                response = yield from source.http(address, port, request, timeout, secure=scheme == "https")
                if not 300 <= response.status < 400 or "Location" not in response.headers:
                    break
                there = urlsplit(urljoin(url, response.headers["Location"]))
                if there.hostname != host:
                    text = response.body.decode(errors="replace")
                    return WARNING, f"Probe terminated redirects, Response body: {text}"
                port = there.port or (443 if there.scheme == "https" else 80)
                request = Request("GET", there.path + (f"?{there.query}" if there.query else ""), headers)
        except NetworkError as error:
            if error.kind == "timeout":
                return (
                    FAILURE,
                    f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
                )
            if error.kind == "empty":
                return FAILURE, f'Get "{url}": EOF'
            return FAILURE, f'Get "{url}": dial tcp {host}:{port}: connect: {error.message.lower()}'
        if 200 <= response.status < 400:
            return SUCCESS, ""
        return FAILURE, f"HTTP probe failed with statuscode: {response.status}"

    def _tcp(
        self, action: Object, spec: Object, run: Container, timeout: float
    ) -> Generator[Wait, None, tuple[str, str]]:
        port = port_of(spec, action["port"])
        if port is None:
            return UNKNOWN, f"invalid port number: {action['port']}"
        host = action.get("host") or run.sandbox.network.address
        try:
            address = yield from self.network.resolve(host)
            yield from self.network.tcp(address, port, b"", timeout)
        except NetworkError as error:
            reason = "i/o timeout" if error.kind == "timeout" else f"connect: {error.message.lower()}"
            return FAILURE, f"dial tcp {host}:{port}: {reason}"
        return SUCCESS, ""

    def _grpc(self, action: Object, run: Container, timeout: float) -> Generator[Wait, None, tuple[str, str]]:
        address, port = run.sandbox.network.address, int(action["port"])
        try:
            listener, _ = yield from self.network.reach(address, port, timeout)
        except NetworkError:
            what = f'timeout: failed to connect service "{address}:{port}" within {timeout:g}s'
            return FAILURE, f"{what}: context deadline exceeded"
        if listener.health is None:
            what = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return FAILURE, f"{what}: unknown service grpc.health.v1.Health"
        status = listener.health(str(action.get("service") or ""))
        return (SUCCESS, "") if status == "SERVING" else (FAILURE, f'service unhealthy (responded with "{status}")')

    def _exec(self, command: list[str], run: Container, timeout: float, done: Done) -> None:
        if not command or run.machine is None or self.runtime.fake:
            self.loop.call_soon(done, SUCCESS, "")
            return
        output = bytearray()
        sink = Sink(lambda data: output.extend(data[: EXEC_OUTPUT - len(output)]))

        def exited(code: int) -> None:
            timer.cancel()
            done(SUCCESS if code == 0 else FAILURE, output.decode(errors="replace"))

        def expired() -> None:
            text = " ".join(command)
            done(FAILURE, f'command timed out: "{text}" timed out after {timeout:g}s')
            process.signal(SIGNALS["KILL"])

        try:
            process = self.runtime.exec(
                run, command, stdin=Pipe(closed=True), stdout=sink, stderr=sink, tty=False, on_exit=exited
            )
        except RuntimeFailure as error:
            text = f'failed to exec in container: failed to start exec "{run.id}": {error}'
            self.loop.call_soon(done, UNKNOWN, f"rpc error: code = Unknown desc = {text}")
            return
        timer = self.loop.call_later(timeout, expired, background=self.loop.now >= run.waited_for_until)


class Probe:
    """One probe of one run of a container."""

    def __init__(
        self,
        actions: Actions,
        kind: str,
        probe: Object,
        container: Object,
        run: Container,
        may_probe: Callable[[], bool],
        verdict: Callable[["Probe", bool], None],
        unhealthy: Callable[[str], None],
        warned: Callable[[str], None],
    ) -> None:
        self.actions, self.kind, self.probe, self.container, self.run = actions, kind, probe, container, run
        self.verdict, self.unhealthy, self.warned, self._may_probe = verdict, unhealthy, warned, may_probe
        self._timer: Timer | None = None
        self._stopped = False
        self._last, self._count = "", 0
        self._schedule(float(probe.get("initialDelaySeconds") or 0))

    @property
    def title(self) -> str:
        return self.kind.capitalize()

    def stop(self) -> None:
        self._stopped = True
        if self._timer:
            self._timer.cancel()

    def relax(self) -> None:
        """Nobody waits for this container any more: go on in the background."""
        if self._timer and not self._timer.background and self._timer.fn:
            self._timer.cancel()
            self._schedule(self._timer.when - self.actions.loop.now)

    def _schedule(self, delay: float) -> None:
        loop = self.actions.loop
        background = self.kind == "liveness" or loop.now >= self.run.waited_for_until
        self._timer = loop.call_later(delay, self._tick, background=background)

    def _tick(self) -> None:
        if self._stopped or self.run.state != RUNNING:
            return
        self._schedule(float(self.probe.get("periodSeconds") or 10))
        if self._may_probe():
            timeout = float(self.probe.get("timeoutSeconds") or 1)
            self.actions.perform(self.probe, self.container, self.run, timeout, self._result)

    def _result(self, result: str, output: str) -> None:
        if self._stopped or self.run.state != RUNNING:
            return
        if result == UNKNOWN:
            self.unhealthy(f"{self.title} probe errored and resulted in unknown state: {output}")
            return
        if result == WARNING:
            self.warned(f"{self.title} probe warning: {output}")
            result = SUCCESS
        if result == FAILURE:
            self.unhealthy(f"{self.title} probe failed: {output}")
        self._count = self._count + 1 if result == self._last else 1
        self._last = result
        threshold = (
            int(self.probe.get("failureThreshold") or 3)
            if result == FAILURE
            else int(self.probe.get("successThreshold") or 1)
        )
        if self._count >= threshold:
            self.verdict(self, result == SUCCESS)
