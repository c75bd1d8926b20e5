"""crictl, typed on a node: the CRI's view of sandboxes, containers and images.

Stands for cri-tools' cmd/crictl. It speaks the CRI: it knows sandboxes (Pods) and works with every runtime that does;
Left out: making sandboxes and containers by hand (runp, create, start, run), checkpoints, metrics and events.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands import crictl_inspect
from k8s_core.shell.commands.container_actions import exec_in, follow_log, pull_image, stop_container
from k8s_core.shell.commands.containers import (
    Refused,
    find_container,
    find_image,
    find_sandbox,
    human,
    runtime,
    show,
    size,
)
from k8s_core.shell.commands.crictl_inspect import container_entry, sandbox_entry
from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container, Sandbox

TOOLS, VERBS = Table(), Table(crictl_inspect.VERBS)
LIST_OPTIONS = (
    "aqvlo:s:n:p:M:B:N:I:i: all=a quiet=q output=o state=s name=M pod=p no-trunc=v last=n latest=l label=B namespace=N "
    "image=I id=i"
)
"""Long names are mapped to letters; those that stand for no short option of crictl's are capitals."""
STATES = {"CONTAINER_CREATED": "Created", "CONTAINER_RUNNING": "Running", "CONTAINER_EXITED": "Exited"}
DOING = {
    "inspect": "getting the status of the container", "inspectp": "getting the pod sandbox status",
    "logs": "getting the container logs", "exec": "execing command in container", "stop": "stopping the container",
    "rm": "removing the container", "stopp": "stopping the pod sandbox", "rmp": "removing the pod sandbox",
}  # fmt: skip
"""What failed, when something that is named is not there."""
VALUED = ("-r", "--runtime-endpoint", "-i", "--image-endpoint", "-t", "--timeout", "-c", "--config")


@TOOLS.plain("crictl")
def crictl(process: Process) -> Steps:
    words, endpoint = process.argv[1:], _configured(process)
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        if flag in ("-v", "--version"):
            process.print("crictl version v1.36.0")
            return 0
        if flag in VALUED:
            value = value if equals else words.pop(0) if words else ""
            endpoint = value if flag in VALUED[:2] else endpoint
        elif flag not in ("-D", "--debug"):
            process.err(f"flag provided but not defined: {flag}\n")
            return 1
    verb = words.pop(0) if words else "help"
    command = VERBS.get(verb)
    if command is None:
        known = verb in ("help", "h")
        process.out(_help() if known else f'No help topic for "{verb}"\n')
        return 0 if known else 3
    path = endpoint.removeprefix("unix://")
    if not common.reachable(process, path):
        process.err(
            f'FATA[0000] validate service connection: validate CRI v1 runtime API for endpoint "{endpoint}": rpc '
            'error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix '
            f'{path}: connect: no such file or directory"\n'
        )
        return 1
    process.argv = [f"crictl {verb}", *words]
    try:
        return (yield from command(process))
    except Refused as error:
        process.err(f"FATA[0000] {DOING.get(verb, verb)}: rpc error: code = NotFound desc = {error}\n")
        return 1


def _configured(process: Process) -> str:
    try:
        told = yaml.safe_load(process.fs.read("/etc/crictl.yaml").decode(errors="replace"))
        return str(told.get("runtime-endpoint") or f"unix://{common.SOCKET}")
    except FileError:
        process.err('WARN[0000] Config "/etc/crictl.yaml" does not exist, trying next: "/usr/bin/crictl.yaml"\n')
    except (yaml.YAMLError, AttributeError):
        process.err("FATA[0000] load config file: unmarshal YAML configuration\n")
    return f"unix://{common.SOCKET}"


def _help() -> str:
    return "NAME:\n   crictl - client for CRI\n\nCOMMANDS:\n" + "".join(f"   {name}\n" for name in sorted(VERBS))


# --- lists ---------------------------------------------------------------------------------------------------------
def _containers(process: Process, options: Options, ids: list[str]) -> "list[Container]":
    chosen = [c for c in runtime(process).containers.values() if c.sandbox.uid]
    wanted = options.get("s", "").lower()
    tests: list[Callable[[Container], bool]] = [
        lambda c: "a" in options or wanted != "" or c.state == "CONTAINER_RUNNING",
        lambda c: not wanted or STATES[c.state].lower() == wanted,
        lambda c: options.get("M", "") in c.name,
        lambda c: c.sandbox.id.startswith(options.get("p", "")),
        lambda c: _labelled(c.sandbox, options, c.name),
        lambda c: not ids or any(c.id.startswith(id) for id in ids),
        lambda c: options.get("I", "") in (c.config.image.image_id.removeprefix("sha256:") + " " + c.config.image.name),
    ]
    return sorted((c for c in chosen if all(test(c) for test in tests)), key=lambda c: (-c.created, c.id))


def _labelled(sandbox: "Sandbox", options: Options, container: str = "") -> bool:
    """Whether it has the label that is asked for; a container has its Pod's name and its own as labels."""
    key, _, value = options.get("B", "").partition("=")
    own = {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid}
    labels = {**sandbox.labels, **{f"io.kubernetes.pod.{name}": text for name, text in own.items()}}
    labels |= {"io.kubernetes.container.name": container} if container else {}
    return not key or labels.get(key) == value


def _list(
    process: Process, options: Options, ids: list[str], document: Callable[[], Any], rows: Sequence[Sequence[str]]
) -> None:
    """A list as it is asked for: only ids, as JSON or YAML, or as a table."""
    if "q" in options:
        process.print(*ids)
    elif options.get("o") in ("json", "yaml"):
        show(process, document(), options)
    else:
        process.out(common.tabbed(rows, minimum=20, padding=3))


def _cut(options: Options) -> int:
    return 64 if "v" in options else 13


@VERBS("ps", LIST_OPTIONS)
def ps(process: Process, options: Options, ids: list[str]) -> None:
    found, now, cut = _containers(process, options, ids), process.machine.loop.now, _cut(options)
    found = found[: 1 if "l" in options else int(options.get("n", len(found)))]
    rows = [("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE")]
    rows += [
        (
            c.id[:cut], c.config.image.image_id.removeprefix("sha256:")[:cut], f"{human(now - c.created)} ago",
            STATES[c.state], c.name, str(c.config.attempt), c.sandbox.id[:cut], c.sandbox.name, c.sandbox.namespace,
        )
        for c in found
    ]  # fmt: skip
    _list(process, options, [c.id for c in found], lambda: {"containers": [*map(container_entry, found)]}, rows)


@VERBS("pods", LIST_OPTIONS)
def pods(process: Process, options: Options, ids: list[str]) -> None:
    now, cut = process.machine.loop.now, _cut(options)
    wanted = options.get("s", "").lower()
    found = [
        s
        for s in runtime(process).sandboxes.values()
        if s.uid
        and options.get("M", "") in s.name
        and options.get("N", s.namespace) == s.namespace
        and wanted in ("", "ready" if s.ready else "notready")
        and _labelled(s, options)
        and s.id.startswith(options.get("i", ids[0] if ids else ""))
    ]
    found.sort(key=lambda s: (-s.created, s.id))
    rows = [("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME")]
    rows += [
        (
            s.id[:cut], f"{human(now - s.created)} ago", "Ready" if s.ready else "NotReady", s.name, s.namespace,
            str(s.attempt), "(default)",
        )
        for s in found
    ]  # fmt: skip
    _list(process, options, [s.id for s in found], lambda: {"items": [*map(sandbox_entry, found)]}, rows)


@VERBS("images image img", "qvo: quiet=q no-trunc=v digests=d output=o verbose=v pinned=P")
def images(process: Process, options: Options, operands: list[str]) -> None:
    found = sorted(runtime(process).images.images.values(), key=lambda i: (i.repository, i.tag))
    found = [i for i in found if not operands or operands[0] in (i.repository, i.name, i.reference)]
    document = [
        {"id": i.image_id, "repoTags": [i.name] if i.tag else [], "repoDigests": [i.id], "size": str(i.size)}
        for i in found
    ]
    digests = "d" in options
    rows = [["IMAGE", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "SIZE"]]
    for i in found:
        short = i.image_id.removeprefix("sha256:")[: _cut(options)]
        rows.append([i.repository, i.tag or "<none>", *([i.digest[:20]] if digests else []), short, size(i.size)])
    _list(process, options, [i.image_id for i in found], lambda: {"images": document}, rows)


@VERBS("stats", "ao:p:i: all=a output=o pod=p id=i")
def stats(process: Process, options: Options, ids: list[str]) -> None:
    rows = [("CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "SWAP")]
    for c in _containers(process, options, ids):
        used = c.machine.usage if c.machine else None
        cores, memory = (used.cores, used.memory) if used else (0.0, 0)
        rows.append((c.id[:13], c.name, f"{cores * 100:.2f}", size(memory, digits=4), "28.67kB", "9", "0B"))
    process.out(common.tabbed(rows, minimum=20, padding=3))


# --- doing ---------------------------------------------------------------------------------------------------------
def _no_id(process: Process) -> int:
    process.err("FATA[0000] container ID cannot be empty\n")
    return 1


@VERBS("logs", "fptn:s: follow=f tail=n previous=p timestamps=t since=s")
def logs(process: Process, options: Options, ids: list[str]) -> Steps:
    if not ids:
        return _no_id(process)
    return (yield from follow_log(process, find_container(process, ids[0]), options.get("n", ""), "f" in options))


@VERBS.plain("exec")
def exec_(process: Process) -> Steps:
    words, flags = process.argv[1:], ""
    while words and words[0].startswith("-"):
        flags += words.pop(0).replace("--interactive", "i").replace("--tty", "t").replace("--sync", "s").strip("-")
    if not words:
        return _no_id(process)
    container = find_container(process, words[0])
    return (yield from exec_in(process, container, words[1:], tty="t" in flags, stdin="i" in flags))


@VERBS("stop", "at: timeout=t all=a")
def stop(process: Process, options: Options, ids: list[str]) -> Steps:
    for word in ids:
        yield from stop_container(process, find_container(process, word), float(options.get("t", "0")))
        process.print(word)
    return 0


@VERBS("rm", "af all=a force=f")
def rm(process: Process, options: Options, ids: list[str]) -> int | None:
    for word in ids:
        container = find_container(process, word)
        if container.state == "CONTAINER_RUNNING":
            if "f" not in options:
                process.err(f'ERRO[0000] container "{word}" is running, please stop it first\n')
                return 1
            runtime(process).kill(container)
        runtime(process).remove(container)
        process.print(word)
    return None


@VERBS("stopp")
def stopp(process: Process, options: Options, ids: list[str]) -> None:
    for word in ids:
        runtime(process).stop_sandbox(find_sandbox(process, word))
        process.print(f"Stopped sandbox {word}")


@VERBS("rmp", "af all=a force=f")
def rmp(process: Process, options: Options, ids: list[str]) -> int | None:
    for word in ids:
        sandbox = find_sandbox(process, word)
        if sandbox.ready and "f" not in options:
            process.err(f'ERRO[0000] pod sandbox "{word}" is running, please stop it first\n')
            return 1
        runtime(process).remove_sandbox(sandbox)
        process.print(f"Removed sandbox {word}")
    return None


@VERBS("pull", "c: creds=c")
def pull(process: Process, options: Options, words: list[str]) -> Steps:
    for word in words:
        error = yield from pull_image(process, word)
        if error:
            process.err(f"FATA[0001] pulling image: {error}\n")
            return 1
        image = find_image(process, word)
        process.print(f"Image is up to date for {image.image_id if image else word}")
    return 0


@VERBS("rmi", "aq all=a prune=q")
def rmi(process: Process, options: Options, words: list[str]) -> int | None:
    for word in words:
        image = find_image(process, word)
        if image is None:
            process.err(f'ERRO[0000] no such image "{word}" present\n')
            return 1
        del runtime(process).images.images[image.name]
        process.print(f"Deleted: {image.name}")
    return None


@VERBS("version")
def version(process: Process, options: Options, words: list[str]) -> None:
    process.print("Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.2.0\nRuntimeApiVersion:  v1")


@VERBS("imagefsinfo", "o: output=o")
def imagefsinfo(process: Process, options: Options, words: list[str]) -> None:
    stamp = str(int(process.machine.loop.now * 1e9))
    folder = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"
    images = runtime(process).images.images.values()
    used = {"inodesUsed": {"value": str(97 * len(images))}, "usedBytes": {"value": str(sum(i.size for i in images))}}
    system = {"fsId": {"mountpoint": folder}, "timestamp": stamp, **used}
    show(process, {"status": {"containerFilesystems": [], "imageFilesystems": [system]}}, options)


@VERBS("info", "o: output=o")
def info(process: Process, options: Options, words: list[str]) -> None:
    network = process.machine.extra["node"].kubelet.node.network
    reason, problem = ("", "") if network else (
        "NetworkPluginNotReady", "Network plugin returns error: cni plugin not initialized"
    )  # fmt: skip
    conditions = [
        {"message": "", "reason": "", "status": True, "type": "RuntimeReady"},
        {"message": problem, "reason": reason, "status": network, "type": "NetworkReady"},
    ]
    config = {
        "containerdEndpoint": common.SOCKET, "containerdRootDir": "/var/lib/containerd",
        "rootDir": "/var/lib/containerd/io.containerd.grpc.v1.cri",
    }  # fmt: skip
    told = {"config": config, "runtimeHandlers": [{"name": "runc"}], "status": {"conditions": conditions}}
    show(process, told, options)
