"""The server on its own: `python -m k8s_core serve`, a cluster for kubectl without a notebook around it."""

import argparse
import gc
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from k8s_core.api.names import dns1123_subdomain
from k8s_core.apiserver import options as apiserver_options
from k8s_core.apiserver.authentication import read_token_file
from k8s_core.apiserver.request import User
from k8s_core.apiserver.version import DEFAULT
from k8s_core.cluster import NODES, Cluster
from k8s_core.controllers.manager import resolve
from k8s_core.etcd import flags as etcd_flags
from k8s_core.etcd.store import EtcdError
from k8s_core.limits import POD_CIDR
from k8s_core.network import ingress
from k8s_core.pki import kubeconfig

ADMIN = User("admin", ("system:masters",))


def parser() -> argparse.ArgumentParser:
    """The command line; flags that kube-apiserver has, too, mean the same."""
    top = argparse.ArgumentParser(prog="python -m k8s_core", description="A Kubernetes cluster in one process.")
    commands = top.add_subparsers(dest="command", required=True)
    etcd_flags.add(commands.add_parser("etcd", help="serve etcd alone until SIGTERM"))  # for the help: __main__.py
    serve = commands.add_parser("serve", help="serve until SIGTERM", allow_abbrev=False)
    serve.add_argument(
        "--secure-port", type=_port, default=6443, help="loopback port; 0 takes a free one (%(default)s)"
    )
    serve.add_argument("--token-auth-file", type=Path, metavar="FILE", help='CSV: token,user,uid,"group1,group2"')
    serve.add_argument(
        "--write-kubeconfig", type=Path, metavar="FILE", help="where to write an administrator's kubeconfig"
    )
    serve.add_argument("--profile", choices=("kubeadm", "bare"), default="kubeadm", help="what the cluster looks like")
    serve.add_argument("--nodes", type=_nodes, default=NODES, help="how many, or their names with commas between (3)")
    serve.add_argument("--no-scheduler", action="store_true", help="leave the scheduler out")
    serve.add_argument(
        "--controllers", type=_controllers, default=["*"], metavar="LIST",
        help="which controllers run: * for those on by default, -name for not that one",
    )  # fmt: skip
    serve.add_argument("--no-kubelet", action="store_true", help="leave the kubelets out")
    serve.add_argument("--clock", choices=("wall", "elastic"), default="elastic", help="how time goes (%(default)s)")
    serve.add_argument(
        "--kubernetes-version", type=_minor, default=DEFAULT, metavar="MINOR", help="which API (%(default)s)"
    )
    serve.add_argument(
        "--cluster-cidr", type=apiserver_options.cidr, default=POD_CIDR, metavar="CIDR",
        help="where Pods have their addresses (%(default)s)",
    )  # fmt: skip
    serve.add_argument(
        "--load-balancer", action="store_true", help="give Services of type LoadBalancer an address, as a cloud does"
    )
    serve.add_argument("--ingress", action="store_true", help="install ingress-nginx")
    serve.add_argument(
        "--expose", type=_exposed, action="append", default=[], metavar="NODEPORT[:PORT]",
        help="bind a node port to a port of the loopback, for browsers; may be repeated",
    )  # fmt: skip
    apiserver_options.add_flags(serve)
    serve.add_argument("--seed", type=int, default=0, help="same seed: same names, certificates and tokens")
    apiserver_options.add_ignored(serve)
    return top


def _port(text: str) -> int:
    port = int(text) if text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port number (0-65535)')
    return port


def _exposed(text: str) -> tuple[int, int]:
    node_port, _, real = text.partition(":")
    return _port(node_port), _port(real or "0")


def _nodes(text: str) -> tuple[str, ...]:
    if text.isdigit():
        return ("cp", *(f"worker{number}" for number in range(1, int(text))))[: int(text)]
    names = tuple(text.split(","))
    if problems := [problem for name in names for problem in dns1123_subdomain(name)]:
        raise argparse.ArgumentTypeError(f'"{text}": {problems[0]}')
    return names


def _controllers(text: str) -> list[str]:
    try:
        return resolve(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _minor(text: str) -> str:
    match = re.fullmatch(r"v?(1\.\d+)(\.\d+)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a version such as {DEFAULT}')
    return match[1]


def _cluster(options: argparse.Namespace, users: Mapping[str, User]) -> Cluster:
    return Cluster(
        options.nodes,
        seed=options.seed,
        clock=options.clock,
        kubernetes_version=options.kubernetes_version,
        profile=options.profile,
        scheduler=not options.no_scheduler,
        controllers=options.controllers,
        kubelets=not options.no_kubelet,
        token_users=users,
        secure_port=options.secure_port or 6443,
        etcd_servers=options.etcd_servers,
        cluster_cidr=options.cluster_cidr,
        options=apiserver_options.from_flags(options),
    )


def _write_kubeconfig(options: argparse.Namespace, cluster: Cluster, url: str, users: Mapping[str, User]) -> None:
    """kubeadm's admin.conf; on a bare cluster a superuser of the token file, or a certificate of one."""
    pki = cluster.pki
    text = pki.kubeconfig("admin", url)
    if options.profile == "bare":
        tokens = [token for token, user in users.items() if "system:masters" in user.groups]
        user = users[tokens[0]] if tokens else ADMIN
        pair = pki.client(user.name, user.groups)
        credentials = {"token": tokens[0]} if tokens else {"cert_pem": pair.cert_pem, "key_pem": pair.key_pem}
        text = kubeconfig(url, pki.ca.cert_pem, user.name, **credentials)
    options.write_kubeconfig.touch(0o600)
    options.write_kubeconfig.write_text(text)


def collect_seldom() -> None:
    """Spare Python's garbage collector its walks through all objects of the cluster: they are kept anyway.

    What a request leaves behind is freed by its reference count; only cycles wait for the collector.
    """
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 if all went well, 1 with one line on stderr if it could not start."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        word = unknown[0]
        what = f"unknown flag: {word.partition('=')[0]}" if word.startswith("-") else f'unknown command "{word}"'
        print(f"Error: {what}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        users = read_token_file(options.token_auth_file) if options.token_auth_file else {}
        cluster = _cluster(options, users)
        try:
            door = cluster.serve(options.secure_port)
            collect_seldom()
            if options.write_kubeconfig:
                _write_kubeconfig(options, cluster, door.url, users)
            cluster.load_balancer = options.load_balancer
            if options.ingress:
                cluster.install(ingress.MANIFEST)
            exposed = [(node_port, cluster.expose(node_port, port=real)) for node_port, real in options.expose]
            print(f"k8s_core {cluster.apiserver.minor} serving on {door.url}", flush=True)
            for node_port, address in exposed:
                print(f"node port {node_port} on {address}", flush=True)
            stop.wait()
        finally:
            cluster.stop()
    except (OSError, ValueError, EtcdError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
