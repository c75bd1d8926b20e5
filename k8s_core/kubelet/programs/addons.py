"""The containers of kube-system: CoreDNS, kube-proxy and the control plane's static Pods.

What they do is done elsewhere (k8s_core/apiserver, controllers, scheduler, etcd, network); here they only hold their
ports, answer their health checks and log their first lines. A later part ties their life to the real components.
"""

from datetime import UTC, datetime

from k8s_core.kubelet.programs.simple import config, idle, respond
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import Request, Response

CONFIGURATION = (
    "1b226df79860026c6a52e67daa10d7f0d57ec5b023288ec00c5e05f93523c894564e15b91770d3a07ae1cfbe861d15b37d4a"
    "0027e69c546ab112970993a3b03b"
)
FIRST_LINES = {
    "kube-apiserver": 'server.go:183] "Golang settings" GOGC="" GOMAXPROCS="" GOTRACEBACK=""',
    "kube-controller-manager": 'controllermanager.go:215] "Starting" version="{version}"',
    "kube-scheduler": 'server.go:163] "Starting Kubernetes Scheduler" version="{version}"',
    "metrics-server": 'secure_serving.go:211] "Serving securely on [::]:10250"',
}
HEALTH = ("/livez", "/readyz", "/healthz", "/health")


def klog(process: Process, text: str, level: str = "I") -> str:
    """A line as klog writes it."""
    now = datetime.fromtimestamp(process.machine.loop.now, UTC)
    return f"{level}{now.strftime('%m%d %H:%M:%S.%f')} {process.pid:7} {text}\n"


def control_plane(process: Process) -> Steps:
    """kube-apiserver, kube-controller-manager, kube-scheduler, etcd, metrics-server: ports and health."""
    name = process.argv[0].rsplit("/", 1)[-1]

    def answer(request: Request) -> Response:
        path = request.path.partition("?")[0]
        if path.startswith(HEALTH):
            return respond(process, 200, "ok")
        return respond(process, 403, "Forbidden\n")

    asked = config(process)
    for port in asked.ports if asked else ():
        if not process.machine.network.listen(port, process, answer, http=True):
            text = f"Failed to listen on 0.0.0.0:{port}: listen tcp 0.0.0.0:{port}: bind: address already in use"
            process.err(klog(process, f'run.go:72] "command failed" err="{text}"').replace("I", "E", 1))
            return 1
    image = process.machine.extra.get("image")
    version = image.tag if image else ""
    if name == "etcd":
        now = datetime.fromtimestamp(process.machine.loop.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        process.err(
            f'{{"level":"info","ts":"{now}","caller":"embed/etcd.go:133","msg":"configuring peer listeners"}}\n'
        )
    else:
        process.err(klog(process, FIRST_LINES.get(name, "").replace("{version}", version)))
    return (yield from idle(process))


def coredns(process: Process) -> Steps:
    """CoreDNS: its start and its end; what it answers, its pages too, is k8s_core/network's."""
    network = process.machine.network
    problem = network.fabric.begin("coredns", process)
    if problem:
        process.out(f"{problem}\n")
        return 1
    image = process.machine.extra.get("image")
    version = image.version if image else "1.13.1"
    process.out(
        f".:53\n[INFO] plugin/reload: Running configuration SHA512 = {CONFIGURATION}\nCoreDNS-{version}\n"
        "linux/amd64, go1.25.2, 1db4568\n"
    )
    yield from process.wait_signal("TERM", "INT")
    process.out(
        "[INFO] SIGTERM: Shutting down servers then terminating\n"
        "[INFO] plugin/health: Going into lameduck mode for 5s\n"
    )
    yield 5.0
    return 0


def kube_proxy(process: Process) -> Steps:
    """kube-proxy's container: its first lines; the rules and the pages are k8s_core/network's."""
    problem = process.machine.network.fabric.begin("kube-proxy", process)
    if problem:
        process.err(klog(process, f'run.go:72] "command failed" err="{problem}"').replace("I", "E", 1))
        return 1
    network = process.machine.network
    mode = network.fabric.proxies[network.node].config.mode
    process.err(klog(process, f'server_linux.go:63] "Using {mode} proxy"'))
    process.err(klog(process, 'shared_informer.go:356] "Caches are synced" controller="service config"'))
    return (yield from idle(process))


def dumb_init(process: Process) -> Steps:
    """dumb-init [--] COMMAND: takes signals and zombies for it; here it takes its place."""
    process.argv = [w for w in process.argv[1:] if w != "--"]
    command = process.machine.find(process.argv[0]) if process.argv else None
    if command is None:
        process.err(f"[dumb-init] {process.argv[0] if process.argv else ''}: No such file or directory\n")
        return 2
    return (yield from command(process))


def nginx_ingress_controller(process: Process) -> Steps:
    """ingress-nginx's controller; what it does is k8s_core/network/ingress.py's."""
    image = process.machine.extra.get("image")
    version = image.tag if image else "v1.14.0"
    line = "-" * 79
    process.out(
        f"{line}\nNGINX Ingress controller\n  Release:       {version}\n  nginx version: nginx/1.27.1\n\n{line}\n\n"
    )
    problem = process.machine.network.fabric.begin("ingress-nginx", process)
    if problem:
        process.err(klog(process, f'main.go:73] "{problem}"').replace("I", "F", 1))
        return 1
    process.machine.network.listen(10254, process, lambda request: respond(process, 200, "ok"), http=True)
    process.err(klog(process, 'nginx.go:317] "Starting NGINX process"'))
    yield from process.wait_signal("TERM", "INT", "QUIT")
    process.err(klog(process, 'sigterm.go:36] "Received SIGTERM, shutting down"'))
    return 0


INGRESS_NGINX: dict[str, Command] = {"dumb-init": dumb_init, "nginx-ingress-controller": nginx_ingress_controller}
