"""kubeadm, typed on a node, as far as it leaves the node alone: certificates, bootstrap tokens, images, version.

Stands for cmd/kubeadm. Left out: init, join, upgrade, reset and whatever else changes a node.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from k8s_core.api.errors import StatusError
from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands.options import Spec, Table
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
CREATE = Spec(
    "t:d:u:g:jK: ttl=t description=d usages=u groups=g print-join-command=j kubeconfig=K config=K certificate-key=K "
    "dry-run=n"
)
CHANGING = ("init", "join", "reset", "upgrade", "certs", "token", "config", "kubeconfig", "alpha")
AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")


@COMMANDS.plain("kubeadm")
def kubeadm(process: Process) -> int:
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    known: dict[tuple[str, ...], Callable[[Process], int]] = {
        ("certs", "check-expiration"): _expiration, ("certs", "certificate-key"): _key, ("version",): _version,
        ("token", "list"): _tokens, ("token", "create"): _create, ("token", "delete"): _delete,
        ("token", "generate"): _generate, ("config", "images", "list"): _images, ("config", "images", "pull"): _pull,
    }  # fmt: skip
    for path, run in known.items():
        if tuple(words[: len(path)]) == path:
            return run(process)
    if words[:1] and words[0] in CHANGING:
        process.err(
            f'error: "kubeadm {" ".join(words)}" would change the node. Here kubeadm knows: certs check-expiration, '
            "token create, delete, generate and list, config images list and pull, version.\n"
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


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
JOINING = "system:bootstrappers:kubeadm:default-node-token"
DAY = 86400.0


def _random(process: Process, count: int, letters: str = LETTERS) -> str:
    return "".join(process.machine.loop.random.choices(letters, k=count))


def _generate(process: Process) -> int:
    process.print(f"{_random(process, 6)}.{_random(process, 16)}")
    return 0


def _key(process: Process) -> int:
    process.print(_random(process, 64, "0123456789abcdef"))
    return 0


def _create(process: Process) -> int:
    """A Secret that lets a node join for a day, and the command that does it."""
    options, operands = CREATE.parse(process)
    token = operands[2] if len(operands) > 2 else f"{_random(process, 6)}.{_random(process, 16)}"
    if not re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token):
        process.err(
            f'the bootstrap token "{token}" was not of the form "\\\\A([a-z0-9]{{6}})\\\\.([a-z0-9]{{16}})\\\\z"\n'
        )
        return 1
    id, secret = token.split(".")
    data = {"token-id": id, "token-secret": secret, "auth-extra-groups": options.get("g", JOINING)}
    data |= {f"usage-bootstrap-{use}": "true" for use in options.get("u", "signing,authentication").split(",")}
    if options.get("t") != "0":
        found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", options.get("t", ""))
        seconds = sum(int(n or 0) * unit for n, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
        end = process.machine.loop.now + (seconds or DAY)
        data["expiration"] = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    data |= {"description": options["d"]} if "d" in options else {}
    made = {
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{id}", "namespace": "kube-system"}, "stringData": data,
    }  # fmt: skip
    try:
        process.machine.extra["admin"].create("secrets", made)
    except StatusError as error:
        process.err(f"failed to create new bootstrap token: {error}\n")
        return 1
    if "j" in options:
        key = _certificate(process, "ca").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        server = urlsplit(
            yaml.safe_load(process.fs.read("/etc/kubernetes/admin.conf"))["clusters"][0]["cluster"]["server"]
        )
        digest = hashlib.sha256(key).hexdigest()
        process.print(f"kubeadm join {server.netloc} --token {token} --discovery-token-ca-cert-hash sha256:{digest} ")
    else:
        process.print(token)
    return 0


def _delete(process: Process) -> int:
    words = [word for word in process.argv[3:] if not word.startswith("-")]
    for word in words:
        id = word.split(".")[0]
        try:
            process.machine.extra["admin"].delete("secrets", f"bootstrap-token-{id}", "kube-system")
        except StatusError as error:
            process.err(f'failed to delete bootstrap token "{id}": {error}\n')
            return 1
        process.print(f'bootstrap token "{id}" deleted')
    return 0 if words else process.fail("missing argument; 'token delete' is missing token of form [\"[a-z0-9]{6}\"]")


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


def _named(process: Process) -> list[str]:
    version = process.machine.extra["node"].kubelet.node.version
    own = [f"kube-{name}:{version}" for name in ("apiserver", "controller-manager", "scheduler", "proxy")]
    return [f"registry.k8s.io/{name}" for name in (*own, "coredns/coredns:v1.14.2", "pause:3.10.1", "etcd:3.5.12-0")]


def _images(process: Process) -> int:
    process.print(*_named(process))
    return 0


def _pull(process: Process) -> int:
    process.print(*(f"[config/images] Pulled {name}" for name in _named(process)))
    return 0
