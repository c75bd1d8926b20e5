"""The kubelet's own API: logs, exec, attach. The apiserver calls it on behalf of kubectl.

Stands for pkg/kubelet/server and the CRI's streaming server. Answers are streams and sessions (k8s_core/streams.py);
what cannot be answered is a StatusError in the words a client of a real cluster reads.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from k8s_core.api.errors import bad_request, internal, unavailable
from k8s_core.kubelet.container import CREATED, RUNNING, Container, RuntimeFailure
from k8s_core.kubelet.container_state import ContainerState
from k8s_core.kubelet.endpoints import Endpoints
from k8s_core.kubelet.logs import ContainerLog, Line, render, select
from k8s_core.kubelet.pod_worker import PodWorker
from k8s_core.limits import CLIENT_WAITS_FOR_CONTAINER
from k8s_core.network.bridge import Connect, Conversation, End, Send
from k8s_core.shell import tls
from k8s_core.shell.pipes import Pipe, Sink
from k8s_core.shell.process import SIGNALS
from k8s_core.shell.sockets import NetworkError, Request, Response
from k8s_core.shell.tty import Terminal, interrupt_foreground
from k8s_core.streams import Session, Stream

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet

WAITING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


class KubeletServer:
    """What listens on port 10250."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self.answer = Endpoints(kubelet).answer
        """What can be had by a GET."""

    # --- logs -----------------------------------------------------------------------------------------------
    def container_logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        previous: bool = False,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        since_time: str | None = None,
        timestamps: bool = False,
        limit_bytes: int | None = None,
    ) -> Stream:
        """The log of a container's newest (or previous) run, and with `follow` what comes until it ends."""
        worker = self._worker(namespace, pod)
        state = worker.states.get(container) if worker else None
        log = self._log(pod, container, state, previous)
        now = self.kubelet.client.loop.now
        since = now - since_seconds if since_seconds is not None else None
        if since_time:
            since = datetime.fromisoformat(since_time.replace("Z", "+00:00")).timestamp()
        stream = Stream()
        left = limit_bytes if limit_bytes is not None else 1 << 62

        def send(line: Line | None) -> None:
            nonlocal left
            if line is None:
                stream.end()
                return
            data = render(line, timestamps)[:left]
            left -= len(data)
            if data:
                stream.send(data)
            if left <= 0:
                stream.end()

        for line in select(log, since=since, tail=tail_lines):
            send(line)
            if stream.ended:
                return stream
        if not follow:
            stream.end()
        else:
            stream.on_cancel.append(log.follow(send))
        return stream

    def _log(self, pod: str, container: str, state: ContainerState | None, previous: bool) -> ContainerLog:
        current = state.current if state else None
        if state is None or (current is None and state.waiting is None):
            reason = "PodInitializing" if self._initializing(pod) else "ContainerCreating"
            if previous:
                raise bad_request(f'previous terminated container "{container}" in pod "{pod}" not found')
            raise bad_request(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        if previous:
            run = state.previous
            if current and current.state not in (RUNNING, CREATED) and state.waiting:
                run = current  # what is shown as the last state
            if run is None:
                raise bad_request(f'previous terminated container "{container}" in pod "{pod}" not found')
            return run.log
        if current is None:
            reason = state.waiting[0] if state.waiting else "ContainerCreating"
            why = WAITING.get(reason, reason)
            raise bad_request(f'container "{container}" in pod "{pod}" is waiting to start: {why}')
        return current.log

    def _initializing(self, pod: str) -> bool:
        return any(w.name == pod and w.spec.get("initContainers") for w in self.kubelet.workers.values())

    def _worker(self, namespace: str, pod: str) -> PodWorker | None:
        return self.kubelet.worker_named(namespace, pod)

    def _running(self, namespace: str, pod: str, container: str) -> Container | None:
        worker = self._worker(namespace, pod)
        state = worker.states.get(container) if worker else None
        if state is None or state.current is None or state.current.state != RUNNING or state.current.machine is None:
            return None
        return state.current

    # --- figures --------------------------------------------------------------------------------------------
    def usage(self) -> dict[tuple[str, str], dict[str, tuple[float, int]]]:
        """What the running containers use now: (namespace, Pod) -> container -> (processors, bytes)."""
        found: dict[tuple[str, str], dict[str, tuple[float, int]]] = {}
        for worker in self.kubelet.workers.values():
            for container, state in worker.running():
                machine = state.current.machine if state.current else None
                if machine is not None:
                    pod = found.setdefault((worker.namespace, worker.name), {})
                    pod[container["name"]] = (machine.usage.cores, machine.usage.memory)
        return found

    # --- exec and attach ------------------------------------------------------------------------------------
    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tty: bool = False,
    ) -> Session:
        """Run a command in a running container."""
        run = self._running(namespace, pod, container)
        session = Session(stdin=stdin, tty=tty)
        if run is None:
            session.exit(1, f'unable to upgrade connection: container not found ("{container}")')
            return session
        pipe = Pipe(closed=not stdin)
        write = self._writer(session, stdout, stderr)
        terminal = Terminal(pipe, lambda data: write(1, data)) if tty else None
        out = Sink(terminal.output if terminal else lambda data: write(1, data))
        err = Sink(terminal.output if terminal else lambda data: write(2, data))
        try:
            process = self.kubelet.runtime.exec(
                run,
                command,
                stdin=pipe,
                stdout=out,
                stderr=err,
                tty=tty,
                on_exit=session.exit,
                attended=True,
            )
        except RuntimeFailure as error:
            # said twice: once by the kubelet, once by the apiserver that passes the kubelet's answer on
            exec_id = self.kubelet.runtime._id(container)
            session.exit(
                error.code,
                "Internal error occurred: error executing command in container: failed to exec in "
                f'container: failed to start exec "{exec_id}": {error}',
            )
            return session
        if terminal:
            machine = run.machine
            assert machine is not None
            terminal.interrupt = lambda signal: interrupt_foreground(machine, process, signal)
            session.listen(terminal.type)
        elif stdin:
            session.listen(lambda data: pipe.close() if data is None else pipe.write(data))
        session.on_cancel.append(lambda: process.signal(SIGNALS["HUP" if tty else "KILL"]))
        run.on_exit.append(lambda: session.exit(137))
        return session

    def attach(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tty: bool = False,
    ) -> Session:
        """Join a running container's first process."""
        run = self._running(namespace, pod, container)
        session = Session(stdin=stdin, tty=tty)
        if run is None:
            session.exit(1, f"unable to upgrade connection: container {container} not found in pod {pod}_{namespace}")
            return session
        write = self._writer(session, stdout, stderr)
        if tty and run.config.tty:
            terminal = Terminal(run.stdin, lambda data: write(1, data))
            machine, init = run.machine, run.init
            if machine is not None and init is not None:
                terminal.interrupt = lambda signal: interrupt_foreground(machine, init, signal)
            feed: Callable[[bytes | None], None] = terminal.type

            def listener(channel: int, data: bytes) -> None:
                terminal.output(data)
        else:

            def feed(data: bytes | None) -> None:
                if data is not None:
                    run.stdin.write(data)
                elif run.config.stdin_once:
                    run.stdin.close()

            listener = write  # type: ignore[assignment]  # the same signature under another name
        run.attached.append(listener)
        if stdin and run.config.stdin:

            def typed(data: bytes | None) -> None:
                run.waited_for_until = self.kubelet.client.loop.now + CLIENT_WAITS_FOR_CONTAINER
                feed(data)

            session.listen(typed)
        session.on_cancel.append(lambda: run.attached.remove(listener) if listener in run.attached else None)
        run.on_exit.append(lambda: session.exit(run.exit_code))
        return session

    # --- the network ----------------------------------------------------------------------------------------
    def port_forward(self, namespace: str, pod: str) -> Connect:
        """Connects to ports of a Pod from inside it, as the runtime's port-forward does."""
        worker = self._worker(namespace, pod)
        sandbox = worker.sandbox if worker else None
        if sandbox is None or not sandbox.ready:
            raise internal(f"unable to upgrade connection: pod does not exist: {pod}_{namespace}")

        def connect(port: int, send: Send, end: End) -> Conversation:
            def ended(problem: str) -> None:
                said = (
                    f"error forwarding port {port} to pod {sandbox.id}, uid : failed to execute portforward in network "
                    f'namespace "/var/run/netns/cni-{sandbox.uid}": failed to connect to localhost:{port} inside '
                    f'namespace "{sandbox.id}", IPv4: dial tcp4 127.0.0.1:{port}: connect: {problem.lower()} '
                    "IPv6 dial tcp6: address localhost: no suitable address found "
                )
                end(said if problem else "")

            return Conversation(self.kubelet.client.loop, sandbox.network, "127.0.0.1", port, send, ended)

        return connect

    def get(
        self, address: str, port: int, request: Request, *, secure: bool = False, timeout: float = 30.0
    ) -> Response:
        """An HTTP request from this node, for the apiserver's proxy; raises StatusError (503) if nobody answers."""
        steps = self.kubelet.network.http(address, port, request, timeout, secure=secure)
        try:
            for _ in range(1000):
                next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except NetworkError as error:
            if error.kind == "certificate":
                why = f"tls: failed to verify certificate: x509: {tls.go(error.message)}"
            else:
                why = "i/o timeout" if error.kind == "timeout" else f"connect: {error.message.lower()}"
                why = f"dial tcp {address}:{port}: {why}"
            raise unavailable(f"error trying to reach service: {why}") from None
        raise unavailable("error trying to reach service: context deadline exceeded")

    def _writer(self, session: Session, stdout: bool, stderr: bool) -> Callable[[int, bytes], None]:
        def write(channel: int, data: bytes) -> None:
            if (channel == 1 and stdout) or (channel == 2 and stderr) or (session.tty and stdout):
                session.output(channel, data)

        return write
