"""kubectl, typed on a node: the real one, kept to the node's files and the cluster's own apiserver.

It runs with a kubeconfig made from the node's, an empty home and no PATH; files that it is given are copied out of
the node's tree first. Whether the server can be reached is the simulated network's answer. What could lead it to the
real machine or beyond the cluster (plugins, editors, other servers, URLs, cp, proxy) is refused in one sentence.
"""

import base64
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from k8s_core.limits import KUBECTL_SECONDS, KUBECTL_WATCH_SECONDS
from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import Directory, File, FileError, normalize
from k8s_core.shell.pipes import Steps, Wait, Waiters
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError

COMMANDS = Table()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERBS = _words(
    """
    annotate api-resources api-versions apply auth autoscale certificate cluster-info config cordon create delete
    describe drain events exec explain expose get help label logs options patch replace rollout run scale set taint top
    uncordon version wait
    """
)
CONFIG_VERBS = ("view", "current-context", "get-contexts", "get-clusters", "get-users")
CONFIG_CHANGES = _words(
    """
    set-context use-context use set-credentials set-cluster set unset delete-context delete-cluster delete-user
    rename-context
    """
)
CONFIG_FLAGS = _words(
    "current cluster user namespace server token embed-certs insecure-skip-tls-verify tls-server-name"
)
CONFIG_FILES = ("certificate-authority", "client-certificate", "client-key")
FLAGS = _words(
    """
    aggregation-rule all all-containers all-namespaces all-pods allow-missing-template-keys annotation annotations
    api-group api-version api-versions append-hash as as-group as-uid audience bound-object-kind bound-object-name
    bound-object-uid cached cascade categories chunk-size claim class client cluster cluster-ip cluster-role
    clusterip clusterrole cmd command concurrency container containers context cpu cpu-percent create-annotation
    current current-replicas current-revision default-backend delete-emptydir-data description disable-eviction
    docker-email docker-password docker-server docker-username dry-run duration env expose external-ip external-name
    field-manager field-selector flatten follow for force force-conflicts from from-literal generator global-default
    grace-period group hard help history hostport ignore-daemonsets ignore-errors ignore-not-found image
    image-pull-policy include-uninitialized insecure-skip-tls-verify-backend keep keys label-columns labels
    leave-stdin-open limit-bytes limits list load-balancer-ip local log-flush max max-log-requests max-unavailable
    memory merge min min-available minify name namespace namespaced namespaces no-description no-headers node-port
    non-resource-url now openapi-patch output output-watch-events override-type overrides overwrite patch
    pod-running-timeout pod-selector port preemption-policy prefix previous privileged protocol prune
    prune-allowlist quiet raw record recursive remove-extra-permissions remove-extra-subjects replicas
    request-timeout requests resolve resource resource-name resource-names resource-version restart revision rm role
    rule save-config schedule scopes selector server-print server-side service-account serviceaccount
    session-affinity short show-capacity show-events show-kind show-labels show-managed-fields show-swap since
    since-time skip-wait-for-delete-timeout sort-by stdin subresource sum tail target-port tcp template timeout
    timestamps to to-revision tty type types use-openapi use-openapi-print-columns use-protocol-buffers user users
    validate value verb verbose verbs wait warnings-as-errors watch watch-only windows-line-endings
    """
)
FILE_FLAGS = frozenset(["filename", "from-file", "from-env-file", "cert", "key", "patch-file"])
BEFORE = ("-n", "--namespace", "--context", "--cluster", "--user", "--kubeconfig", "--as", "--as-group")
FILE_FORMAT = re.compile(r"(jsonpath|go-?template|custom-columns|template)-?file")
SHORT = re.compile(r"-(?:[nolcLvp]=?.*|[itAwRhq]+)")
"""Short flags without files: with a value, or switches together."""


NOWHERE = "http://127.0.0.1:1"
"""A server that nobody can be: on this machine, at a port that is never bound."""


class Refusal(Exception):
    """One sentence: why kubectl is not run."""


@COMMANDS.plain("kubectl")
def kubectl(process: Process) -> Steps:
    with tempfile.TemporaryDirectory(prefix="k8s-core-kubectl-") as folder:
        place = Path(folder)
        try:
            copies: dict[str, str] = {}
            if process.argv[1:2] == ["config"] and CONFIG_CHANGES & set(process.argv[2:]):
                return (yield from _change_config(process, place))
            arguments, config, follows = _arguments(process, place, copies)
            server, real = _kubeconfig(process, config, place / "kubeconfig")
            offline = not real and bool({"--dry-run=client", "--client"} & set(arguments))
            if server and not offline:
                yield from _reach(process, server)
            stdin = (yield from process.stdin.read_all()) if _reads_stdin(arguments) else b""
        except Refusal as refusal:
            process.err(f"{refusal}\n")
            return 1
        if server and not real:
            if not offline:
                process.err(_refused(server))
                return 1
            real = NOWHERE  # what needs no server goes on, and the rest is refused there
            (place / "kubeconfig").write_text(yaml.safe_dump(_config_of(real)))
        done = yield from _run(process, arguments, place, stdin, KUBECTL_WATCH_SECONDS if follows else KUBECTL_SECONDS)
        shown = {real: server, urlsplit(real).netloc: urlsplit(server).netloc, **copies}
        for stream, write in ((done.stdout, process.out), (done.stderr, process.err)):
            text = stream
            for here, there in shown.items():
                text = text.replace(here.encode(), there.encode()) if here else text
            write(text)
        return done.returncode


# --- arguments -----------------------------------------------------------------------------------------------------
def _arguments(process: Process, place: Path, copies: dict[str, str]) -> tuple[list[str], str, bool]:
    """(arguments with files of their own, the kubeconfig that is asked for, whether it may never end)."""
    words, kept = list(process.argv[1:]), list[str]()
    config = process.env.get("KUBECONFIG", "/root/.kube/config").split(":")[0]
    verb = _verb(words)
    bare = [w for w in words if not w.startswith("-")]
    if verb and verb not in VERBS:
        raise Refusal(f'error: "kubectl {verb}" is not possible on a simulated node. Type it in a notebook\'s cell.')
    if verb == "config" and (bare[1:2] and bare[1] not in CONFIG_VERBS):
        raise Refusal(f'error: "kubectl config {bare[1]}" is not possible on a simulated node: edit the file itself.')
    if bare[:2] == ["cluster-info", "dump"]:
        raise Refusal('error: "kubectl cluster-info dump" is not possible on a simulated node.')
    follows = False
    while words:
        word = words.pop(0)
        if word == "--":
            kept += [word, *words]
            break
        if not word.startswith("-") or word == "-":
            kept.append(word)
            continue
        name, equals, value = word.partition("=")
        long = name[2:] if name.startswith("--") else {"-f": "filename", "-k": "kustomize"}.get(name, "")
        if name == "-f" and verb == "logs":
            long, follows = "follow", True
        follows |= long in ("watch", "watch-only", "follow") or (name == "-w")
        if long == "kubeconfig" or long in FILE_FLAGS:
            value = value if equals else words.pop(0) if words else ""
            if long == "kubeconfig":
                config = value
            else:
                kept.append(f"--{long}={_copied(process, value, place, copies)}")
        elif (long and long not in FLAGS and not (name == "-f" and verb == "logs")) or (
            not long and not (SHORT.fullmatch(word) and len(name) >= 2)
        ):
            raise Refusal(f"error: {name} is not possible on a simulated node.")
        else:
            kept.append(word)
    if any(FILE_FORMAT.search(word) for word in (kept[: kept.index("--")] if "--" in kept else kept)):
        raise Refusal("error: output formats from files are not possible on a simulated node.")
    return kept, config, follows


def _change_config(process: Process, place: Path) -> Generator[Wait, None, int]:
    """kubectl config set-context and its like: on a copy of the node's file, which is then put in its place."""
    words, kept = list(process.argv[1:]), list[str]()
    path = process.env.get("KUBECONFIG", "/root/.kube/config").split(":")[0]
    embed = bool({"--embed-certs", "--embed-certs=true"} & set(words))
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        long = {"-n": "namespace"}.get(name, name[2:])
        if not word.startswith("-") or long in CONFIG_FLAGS:
            kept.append(word)
            continue
        if long not in (*CONFIG_FILES, "kubeconfig"):
            raise Refusal(f"error: {name} is not possible on a simulated node.")
        value = value if equals else words.pop(0) if words else ""
        if long == "kubeconfig":
            path = value
        else:
            kept.append(f"--{long}={_copied(process, value, place, {}) if embed else normalize(value, process.cwd)}")
    copy = place / "kubeconfig"
    node = process.lookup(path)
    copy.write_bytes(node.read() if isinstance(node, File) else b"")
    done = yield from _run(process, kept, place, b"", KUBECTL_SECONDS)
    if done.returncode == 0:
        process.fs.make_directories(normalize(path, process.cwd).rpartition("/")[0] or "/")
        process.fs.write(path, copy.read_bytes(), process.cwd)
    for text, write in ((done.stdout, process.out), (done.stderr, process.err)):
        write(text.replace(str(copy).encode(), path.encode()))
    return done.returncode


def _verb(words: list[str]) -> str:
    """kubectl's command; only flags of which it is known whether they take a value may stand before it."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, equals, _ = rest.pop(0).partition("=")
        if name in BEFORE:
            rest = rest if equals else rest[1:]
        elif name not in ("-h", "--help", "--version"):
            raise Refusal(f"error: write {name} after kubectl's command.")
    return rest[0] if rest else ""


def _copied(process: Process, value: str, place: Path, copies: dict[str, str]) -> str:
    """A file of the node's (KEY=FILE for --from-file), copied to where the real kubectl may read it."""
    if value == "-":
        return value
    if "://" in value:
        raise Refusal(f'error: "{value}" is outside the cluster.')
    key, equals, path = value.partition("=") if "=" in value and not value.startswith("/") else ("", "", value)
    node = process.fs.lookup(path, process.cwd)
    if node is None:
        raise Refusal(f'error: the path "{path}" does not exist')
    folder = Path(tempfile.mkdtemp(dir=place))
    target = folder / (path.rstrip("/").rsplit("/", 1)[-1] or "root")
    if isinstance(node, Directory):
        target.mkdir()
        for name in node.names():
            child = process.fs.lookup(f"{path}/{name}", process.cwd)
            if isinstance(child, File):
                (target / name).write_bytes(child.read())
    elif isinstance(node, File):
        target.write_bytes(node.read())
    copies[str(target)] = path
    return f"{key}{equals}{target}"


def _reads_stdin(arguments: list[str]) -> bool:
    return any(w in ("--filename=-", "-i", "-it", "-ti", "--stdin", "--stdin=true") for w in arguments)


# --- the server ----------------------------------------------------------------------------------------------------
def _kubeconfig(process: Process, path: str, target: Path) -> tuple[str, str]:
    """Write a kubeconfig with the node's credentials for the door; (server as the node's file says, door's URL)."""
    try:
        told = yaml.safe_load(process.fs.read(path, process.cwd))
        context = {c["name"]: c["context"] for c in told.get("contexts") or ()}.get(told.get("current-context")) or {}
        clusters = {c["name"]: c["cluster"] for c in told.get("clusters") or ()}
        server = str(clusters.get(context.get("cluster"), {}).get("server", ""))
    except FileError:
        target.write_text("")
        return "http://localhost:8080", ""
    except (yaml.YAMLError, AttributeError, LookupError, TypeError):
        raise Refusal(f'error: error loading config file "{path}": yaml: could not be read') from None
    url = ""
    safe: dict[str, Any] = {key: told.get(key) for key in ("apiVersion", "kind", "contexts", "current-context")}
    safe["clusters"] = []
    for name, cluster in clusters.items():
        made = {"server": cluster.get("server", "")}
        made |= _data(process, cluster, "certificate-authority")
        if name == context.get("cluster"):
            url = process.machine.extra["serve"]()
            made["server"] = url
        safe["clusters"].append({"name": name, "cluster": made})
    safe["users"] = []
    for user in told.get("users") or ():
        given, kept = user.get("user") or {}, dict[str, str]()
        for field in ("client-certificate", "client-key"):
            kept |= _data(process, given, field)
        kept |= {"token": str(given["token"])} if given.get("token") else {}
        safe["users"].append({"name": user.get("name"), "user": kept})
    target.touch(0o600)
    target.write_text(yaml.safe_dump(safe))
    return server, url


def _config_of(server: str) -> dict[str, Any]:
    """A kubeconfig that knows a server and nobody."""
    cluster = {"name": "c", "cluster": {"server": server}}
    context = {"name": "c", "context": {"cluster": "c"}}
    return {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "c"}


def _data(process: Process, given: dict[str, Any], field: str) -> dict[str, str]:
    """A certificate or key of a kubeconfig, whether it stands in it or in a file of the node."""
    if given.get(f"{field}-data"):
        return {f"{field}-data": str(given[f"{field}-data"])}
    if not given.get(field):
        return {}
    try:
        return {f"{field}-data": base64.b64encode(process.fs.read(str(given[field]))).decode()}
    except FileError:
        raise Refusal(f"error: unable to read {field} {given[field]}: no such file or directory") from None


def _refused(server: str) -> str:
    place = urlsplit(server).netloc
    return f"The connection to the server {place} was refused - did you specify the right host or port?\n"


def _reach(process: Process, server: str) -> Generator[Wait, None, None]:
    """Raise in kubectl's words unless the simulated network leads to something that listens there."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    network = process.machine.network
    try:
        address = yield from network.resolve(host)
        yield from network.reach(address, port, 30.0)
    except NetworkError as error:
        if error.kind == "resolve":
            raise Refusal(
                f"Unable to connect to the server: dial tcp: lookup {host} on 168.63.129.16:53: no such host"
            ) from None
        if error.kind == "refused":
            raise Refusal(_refused(server).rstrip()) from None
        raise Refusal(f"Unable to connect to the server: dial tcp {address}:{port}: i/o timeout") from None


# --- running it ----------------------------------------------------------------------------------------------------
def _binary() -> str:
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if not found:
        raise Refusal("kubectl: command not found")
    return found


def _run(
    process: Process, arguments: list[str], place: Path, stdin: bytes, seconds: float
) -> Generator[Wait, None, subprocess.CompletedProcess[bytes]]:
    """Run it in a thread, so that the cluster can answer meanwhile; wake up when it has ended."""
    home = place / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "KUBECONFIG": str(place / "kubeconfig"),
        "KUBECACHEDIR": str(place / "cache"),
        "KUBERC": "off",
    }
    command = [_binary(), *arguments]
    results: list[subprocess.CompletedProcess[bytes]] = []
    finished = Waiters()

    def work() -> None:
        try:
            done = subprocess.run(
                command, input=stdin, env=environment, cwd=home, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as slow:
            done = subprocess.CompletedProcess(command, 130, slow.stdout or b"", slow.stderr or b"")
        results.append(done)

    job = threading.Thread(target=work, name="kubectl", daemon=True)
    job.start()
    process.machine.extra["node"].jobs.append((job, finished))
    while not results:
        yield finished
    return results[0]
