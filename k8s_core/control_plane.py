"""What runs in the control plane's static Pods: kube-apiserver, kube-controller-manager and kube-scheduler.

The components themselves live in their folders; a program here reads its command line as the real one does, starts
its component, and ends it when its process ends, for whatever reason. So a broken manifest, a `kill`, a stopped
container takes the component down, and the kubelet brings it back. At boot the components run already (kubeadm
starts them before there is a Pod to see): then the program only takes over.

Stands for cmd/kube-apiserver, cmd/kube-controller-manager and cmd/kube-scheduler. Left out: leader election between
several (its loss, when the apiserver is away for ten seconds, is here).
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from k8s_core.api import Object
from k8s_core.apiserver import health
from k8s_core.apiserver import options as apiserver_options
from k8s_core.apiserver.availability import Availability
from k8s_core.apiserver.options import Options
from k8s_core.apiserver.request import Request, parse_query
from k8s_core.controllers.manager import ControllerManager, resolve
from k8s_core.kubelet.programs.addons import klog
from k8s_core.limits import APISERVER_START_SECONDS, ETCD_DIAL_SECONDS, LEASE_RENEW_DEADLINE
from k8s_core.scheduler import Scheduler, configuration
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps, Waiters
from k8s_core.shell.process import SIGNALS, Command, Process
from k8s_core.shell.sockets import NetworkError, Response
from k8s_core.shell.sockets import Request as Asked

if TYPE_CHECKING:
    from k8s_core.apiserver.server import Server

REGISTRY = "registry.k8s.io"
FILES = ("cert", "key", "ca", "kubeconfig", "config", "token-auth-file", "policy-file")
"""Flags whose names contain one of these name a file that must be there."""
NOT_FILES = ("cert-dir", "runtime-config", "cloud-config", "leader-migration-config", "write-config-to")
ELSEWHERE = {"bootstrapsigner", "bootstrap-signer-controller", "tokencleaner", "token-cleaner-controller"}
"""Controllers that kubeadm's manifest names and this cluster has not."""
CHANNEL = "[core] [Channel #1 SubChannel #2] grpc: addrConn.createTransport failed to connect to "


Configure = Callable[[Options], None]


class Failure(Exception):
    """The program ends at once with these lines on stderr."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def programs(
    server: "Server", configure: Configure, manager: ControllerManager, scheduler: Scheduler | None
) -> Mapping[str, Mapping[str, Command]]:
    """Commands by image, for Kubelet(programs=...); `configure` takes a new kube-apiserver's flags in.

    Without a scheduler its Pod idles.
    """
    found = {
        "kube-apiserver": _apiserver(server, configure),
        "kube-controller-manager": _controller_manager(manager, server.availability),
    }
    if scheduler:
        found["kube-scheduler"] = _scheduler(scheduler, server.availability)
    return {f"{REGISTRY}/{name}": {name: command} for name, command in found.items()}


# --- command lines -------------------------------------------------------------------------------------------------
def flags(process: Process) -> dict[str, str]:
    """The command line by flag; raises Failure for a flag that the program has not, or a file that is not there."""
    name = process.argv[0].rsplit("/", 1)[-1]
    found = {}
    for word in process.argv[1:]:
        if not word.startswith("-"):
            raise Failure(f'Error: unknown command "{word}" for "{name}"\n')
        flag, _, value = word.lstrip("-").partition("=")
        if flag not in apiserver_options.names(name):
            raise Failure(f"Error: unknown flag: --{flag}\n")
        found[flag] = value
    for flag, value in found.items():
        if value and flag not in NOT_FILES and any(part in flag.split("-") or flag.endswith(part) for part in FILES):
            try:
                process.fs.read(value)
            except FileError as error:
                raise Failure(_failed(process, f"open {value}: {str(error).lower()}")) from None
    return found


def _failed(process: Process, error: str) -> str:
    return klog(process, f'run.go:72] "command failed" err={_quoted(error)}', "E")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _program(run: Callable[[Process, dict[str, str]], Steps]) -> Command:
    def program(process: Process) -> Steps:
        try:
            if process.argv[1:] == ["--version"]:
                image = process.machine.extra.get("image")
                process.out(f"Kubernetes {image.tag if image else ''}\n")
                return 0
            return (yield from run(process, flags(process)))
        except Failure as failure:
            process.err(str(failure))
            return failure.code

    return program


def _listen(process: Process, port: int, answer: Callable[[Asked], Response], certificate: bytes = b"own") -> None:
    if not process.machine.network.listen(port, process, answer, http=True, certificate=certificate):
        taken = f"failed to create listener: failed to listen on 0.0.0.0:{port}: listen tcp 0.0.0.0:{port}: bind: "
        raise Failure(_failed(process, f"{taken}address already in use"))


# --- kube-apiserver ------------------------------------------------------------------------------------------------
def _apiserver(server: "Server", configure: Configure) -> Command:
    state = server.availability

    def run(process: Process, given: dict[str, str]) -> Steps:
        address = state.address.split(":")[0]
        process.err(klog(process, f"options.go:263] external host was not specified, using {address}"))
        process.err(klog(process, 'server.go:147] "Golang settings" GOGC="" GOMAXPROCS="" GOTRACEBACK=""'))
        options = _apiserver_options(process, given)
        if not state.running:  # not the first one, which boot has started
            yield from _find_etcd(process, given)
            yield APISERVER_START_SECONDS
            configure(options)
        port = int(given.get("secure-port") or 6443)
        certificate = process.fs.read(given["tls-cert-file"]) if given.get("tls-cert-file") else b"own"
        _listen(process, port, lambda asked: serve(server, asked), certificate)
        process.at_exit.append(lambda: state.set(running=False))
        state.set(running=port == 6443)
        process.err(klog(process, f"secure_serving.go:211] Serving securely on [::]:{port}"))
        yield from process.wait_signal("TERM", "INT")
        return 0

    return _program(run)


def _apiserver_options(process: Process, given: dict[str, str]) -> Options:
    """What the flags ask for; raises Failure in the real one's words."""
    if not given.get("etcd-servers"):
        raise Failure("Error: --etcd-servers must be specified\n")
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    apiserver_options.add_flags(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    asked = {"authorization-mode": "AlwaysAllow", **given}
    try:
        return apiserver_options.from_flags(
            parser.parse_args([f"--{k}={v}" for k, v in asked.items() if f"--{k}" in known]),
            lambda path: process.fs.read(path).decode(errors="replace"),
        )
    except argparse.ArgumentError as error:
        raise Failure(f"Error: {error.message}\n") from None
    except (FileError, ValueError) as error:
        raise Failure(_failed(process, str(error))) from None


def _find_etcd(process: Process, given: dict[str, str]) -> Steps:
    """Dial etcd until it answers; after the time that the real one takes, give up."""
    url = urlsplit(given["etcd-servers"].split(",")[0])
    host, port = url.hostname or "", url.port or 2379
    until = process.machine.loop.now + ETCD_DIAL_SECONDS
    while True:
        try:
            yield from process.machine.network.reach(host, port, 1.0)
            return 0
        except NetworkError as error:
            why = "connect: connection refused" if error.kind == "refused" else "i/o timeout"
            desc = f'connection error: desc = "transport: Error while dialing: dial tcp {host}:{port}: {why}"'
            where = f'{{Addr: "{host}:{port}", ServerName: "{host}:{port}", }}'
            process.err(klog(process, f"logging.go:55] {CHANNEL}{where}. Err: {desc}", "W"))
        if process.machine.loop.now >= until:
            text = "instance.go:232] Error creating leases: error creating storage factory: context deadline exceeded"
            raise Failure(klog(process, text, "F"), 255)
        yield 1.0


def serve(server: "Server", asked: Asked) -> Response:
    """A request that came over the simulated network; a probe is answered without a trace in the audit log."""
    path, _, query = asked.path.partition("?")
    if path in ("/livez", "/readyz", "/healthz"):
        outage = bool(server.availability.outage)
        response = health.answer(Request(path=path, query=parse_query(query)), path, etcd_failed=outage)
    else:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        request = Request(asked.method, path, parse_query(query), headers, asked.body, asked.certificate)
        response = server.handle(request)
    body = response.body
    if response.stream is not None:  # a watch or a log: what there is at this moment
        pieces: list[bytes] = []
        response.stream.subscribe(pieces.append, lambda: None)
        response.stream.cancel()
        body = b"".join(pieces)
    if body is None:
        indent = orjson.OPT_INDENT_2 if asked.headers.get("User-Agent", "").startswith(("curl", "Wget")) else 0
        body = orjson.dumps(response.object, option=indent) if response.object is not None else b""
    return Response(response.code, body, {"Content-Type": response.content_type, "Content-Length": str(len(body))})


# --- kube-controller-manager and kube-scheduler --------------------------------------------------------------------
def _controller_manager(manager: ControllerManager, state: Availability) -> Command:
    def run(process: Process, given: dict[str, str]) -> Steps:
        wanted = [each for each in (given.get("controllers") or "*").split(",") if each.lstrip("-") not in ELSEWHERE]
        try:
            names = resolve(wanted)
        except ValueError as error:
            raise Failure(f"Error: {error}\n") from None
        process.err(klog(process, 'controllermanager.go:189] "Starting"'))
        _listen(process, int(given.get("secure-port") or 10257), _healthy)
        return (yield from _client(process, state, manager, lambda: setattr(manager, "wanted", names)))

    return _program(run)


def _scheduler(scheduler: Scheduler, state: Availability) -> Command:
    def run(process: Process, given: dict[str, str]) -> Steps:
        process.err(klog(process, "serving.go:386] Generated self-signed cert in-memory"))
        profiles = _profiles(process, scheduler, given.get("config", ""))
        _listen(process, int(given.get("secure-port") or 10259), _healthy)
        return (yield from _client(process, state, scheduler, lambda: scheduler.configure(profiles)))

    return _program(run)


def _profiles(process: Process, scheduler: Scheduler, path: str) -> list[Object]:
    """What --config says; one default profile without it."""
    if not path:
        return [{}]
    try:
        return configuration.read(process.fs.read(path).decode(errors="replace"), scheduler.extra)
    except ValueError as error:
        raise Failure(_failed(process, str(error))) from None


def _healthy(asked: Asked) -> Response:
    path = asked.path.partition("?")[0]
    if path.startswith(("/livez", "/readyz", "/healthz")):
        return Response(200, b"ok", {"Content-Type": "text/plain; charset=utf-8"})
    return Response(403, b"Forbidden\n", {"Content-Type": "text/plain; charset=utf-8"})


def _client(process: Process, state: Availability, component: Any, prepare: Callable[[], None]) -> Steps:
    """Run a component that lives by the apiserver: without it it does not start, and soon loses its lease."""
    name = process.argv[0].rsplit("/", 1)[-1]
    if not component.running:
        if not state.healthy:
            problem = _problem(state, "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
            what = f"unable to load configmap based request-header-client-ca-file: {problem}"
            raise Failure(_failed(process, what))
        prepare()
        component.start()
    process.at_exit.append(component.stop)
    process.err(klog(process, f"leaderelection.go:271] successfully acquired lease kube-system/{name}"))
    with _signals(process) as (came, woken), _watching(state, woken):
        while not came:
            if state.healthy:
                yield woken
            else:
                yield from _renew(process, name, state, came, woken)
    return 0


def _renew(process: Process, name: str, state: Availability, came: list[int], woken: Waiters) -> Steps:
    """The apiserver is away: wait for it as long as the lease can be renewed; then raise Failure."""
    loop, lease = process.machine.loop, f"kube-system/{name}"
    problem = _problem(state, f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}")
    process.err(klog(process, f"leaderelection.go:436] error retrieving resource lock {lease}: {problem}", "E"))
    lost = loop.now + LEASE_RENEW_DEADLINE
    timer = loop.call_later(LEASE_RENEW_DEADLINE, woken.notify, background=True)
    while not came and not state.healthy and loop.now < lost:
        yield woken
    timer.cancel()
    if not came and not state.healthy:
        what = f"leaderelection.go:297] failed to renew lease {lease}: timed out waiting for the condition"
        process.err(klog(process, what))
        where = "server.go:242" if name == "kube-scheduler" else "controllermanager.go:354"
        raise Failure(klog(process, f'{where}] "leaderelection lost"', "E"))
    return 0


def _problem(state: Availability, path: str) -> str:
    if state.running:
        return state.outage
    return f'Get "https://{state.address}{path}": dial tcp {state.address}: connect: connection refused'


@contextmanager
def _signals(process: Process) -> Iterator[tuple[list[int], Waiters]]:
    """The signals that end a server, as they come, and what wakes it then."""
    came, woken = list[int](), Waiters()

    def handler(number: int) -> bool:
        if number in (SIGNALS["TERM"], SIGNALS["INT"]):
            came.append(number)
            woken.notify()
            return True
        return False

    process.on_signal = handler
    yield came, woken


@contextmanager
def _watching(state: Availability, woken: Waiters) -> Iterator[None]:
    state.changed.append(woken.notify)
    try:
        yield
    finally:
        state.changed.remove(woken.notify)
