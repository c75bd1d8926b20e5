"""kubeadm, typed on a node, as far as it only looks: certs check-expiration, token list, config images list, version.

Stands for cmd/kubeadm. Left out: init, join, upgrade, reset and whatever else changes a node.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import yaml
from cryptography import x509

from k8s_core.api.errors import StatusError
from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import FileError
from k8s_core.shell.process import Process

COMMANDS = Table()

PKI = "/etc/kubernetes/pki"
CERTIFICATES = (
    ("admin.conf", "ca"), ("apiserver", "ca"), ("apiserver-etcd-client", "etcd-ca"), ("apiserver-kubelet-client", "ca"),
    ("controller-manager.conf", "ca"), ("etcd-healthcheck-client", "etcd-ca"), ("etcd-peer", "etcd-ca"),
    ("etcd-server", "etcd-ca"), ("front-proxy-client", "front-proxy-ca"), ("scheduler.conf", "ca"),
    ("super-admin.conf", "ca"),
)  # fmt: skip
CHANGING = ("init", "join", "reset", "upgrade", "certs", "token", "config", "kubeconfig", "alpha")
AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")


@COMMANDS.plain("kubeadm")
def kubeadm(process: Process) -> int:
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    known: dict[tuple[str, ...], Callable[[Process], int]] = {
        ("certs", "check-expiration"): _expiration, ("token", "list"): _tokens, ("version",): _version,
        ("config", "images", "list"): _images,
    }  # fmt: skip
    for path, run in known.items():
        if tuple(words[: len(path)]) == path:
            return run(process)
    if words[:1] and words[0] in CHANGING:
        process.err(
            f'error: "kubeadm {" ".join(words)}" would change the node. Here kubeadm only looks: certs '
            "check-expiration, token list, config images list, version.\n"
        )
        return 1
    process.err(f'error: unknown command "{words[0] if words else ""}" for "kubeadm"\n')
    return 1


def _certificate(process: Process, name: str) -> x509.Certificate:
    if name.endswith(".conf"):
        told = yaml.safe_load(process.fs.read(f"/etc/kubernetes/{name}"))
        return x509.load_pem_x509_certificate(base64.b64decode(told["users"][0]["user"]["client-certificate-data"]))
    return x509.load_pem_x509_certificate(
        process.fs.read(f"{PKI}/{name.replace('etcd-', 'etcd/', 1) if name.startswith('etcd-') else name}.crt")
    )


def _left(process: Process, certificate: x509.Certificate) -> tuple[str, str]:
    """(when it expires, how long that is)."""
    end = certificate.not_valid_after_utc.astimezone(UTC)
    seconds = end.timestamp() - process.machine.loop.now
    days = int(seconds // 86400)
    text = f"{days // 365}y" if days >= 730 else f"{days}d" if days else f"{int(seconds // 3600)}h"
    return end.strftime("%b %d, %Y %H:%M UTC"), text if seconds >= 0 else "<invalid>"


def _expiration(process: Process) -> int:
    rows = [("CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED")]
    authorities = [("CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED")]
    for name, authority in CERTIFICATES:
        try:
            when, left = _left(process, _certificate(process, name))
        except (FileError, ValueError, LookupError, TypeError):
            rows.append((f"!MISSING! {name}", "", "", "", ""))
            continue
        rows.append((name, when, left, authority, "no"))
    for name in AUTHORITIES:
        try:
            authorities.append((name, *_left(process, _certificate(process, name)), "no"))
        except (FileError, ValueError):
            authorities.append((f"!MISSING! {name}", "", "", ""))
    process.out(
        '[check-expiration] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...\n\n'
        + common.tabbed(rows, minimum=10, padding=3, terminated=True)
        + "\n"
        + common.tabbed(authorities, minimum=10, padding=3, terminated=True)
    )
    return 0


def _tokens(process: Process) -> int:
    """Bootstrap tokens are Secrets of their own type in kube-system."""
    client, rows = process.machine.extra["admin"], []
    try:
        secrets = client.list("secrets", "kube-system", fields="type=bootstrap.kubernetes.io/token")
    except StatusError as error:
        process.err(f"failed to list bootstrap tokens: {error}\n")
        return 1
    for secret in secrets:
        data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
        usages = ",".join(n for n in ("authentication", "signing") if data.get(f"usage-bootstrap-{n}") == "true")
        expires = data.get("expiration", "")
        left = "<forever>"
        if expires:
            seconds = datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp() - process.machine.loop.now
            left = f"{int(seconds // 3600)}h" if seconds > 0 else "<invalid>"
        token, groups = f"{data.get('token-id')}.{data.get('token-secret')}", data.get("auth-extra-groups", "<none>")
        rows.append((token, left, expires or "<never>", usages, data.get("description", "<none>"), groups))
    if rows:
        head = ("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")
        process.out(common.tabbed([head, *rows], minimum=10, padding=3))
    return 0


def _version(process: Process) -> int:
    version = process.machine.extra["node"].kubelet.node.version
    if "-o" in process.argv and "short" in process.argv:
        process.print(version)
    else:
        major, minor = version.lstrip("v").split(".")[:2]
        process.out(
            f'kubeadm version: &version.Info{{Major:"{major}", Minor:"{minor}", GitVersion:"{version}", '
            'Platform:"linux/amd64"}\n'
        )
    return 0


def _images(process: Process) -> int:
    version = process.machine.extra["node"].kubelet.node.version
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        process.print(f"registry.k8s.io/{name}:{version}")
    process.out(
        "registry.k8s.io/coredns/coredns:v1.14.2\nregistry.k8s.io/pause:3.10.1\nregistry.k8s.io/etcd:3.5.12-0\n"
    )
    return 0
