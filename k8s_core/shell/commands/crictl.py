"""crictl, typed on a node: the CRI's view of sandboxes, containers and images.

Stands for cri-tools' cmd/crictl. It speaks the CRI: it knows sandboxes (Pods) and works with every runtime that does;
Left out: making sandboxes and containers by hand (runp, create, start, run), checkpoints, metrics and events.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import yaml

from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands.container_actions import exec_in, follow_log, pull_image, stop_container
from k8s_core.shell.commands.containers import Refused, find_container, find_image, find_sandbox, human, runtime, size
from k8s_core.shell.commands.crictl_inspect import container_entry, inspect, inspecti, inspectp, sandbox_entry, show
from k8s_core.shell.commands.options import checked, parse
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container

LIST_OPTIONS = ("aqvl", "osnpMBNIi", {"all": "a", "quiet": "q", "output": "o", "state": "s", "name": "M", "pod": "p",
                                      "no-trunc": "v", "last": "n", "latest": "l", "label": "B", "namespace": "N",
                                      "image": "I", "id": "i"})  # fmt: skip
"""Long names are mapped to letters; those that stand for no short option of crictl's are capitals."""
STATES = {"CONTAINER_CREATED": "Created", "CONTAINER_RUNNING": "Running", "CONTAINER_EXITED": "Exited"}


def crictl(process: Process) -> Steps:
    words = process.argv[1:]
    endpoint = _configured(process)
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        if flag in ("-v", "--version"):
            process.out("crictl version v1.36.0\n")
            return 0
        if flag in ("-r", "--runtime-endpoint", "-i", "--image-endpoint", "-t", "--timeout", "-c", "--config"):
            value = value if equals else words.pop(0) if words else ""
            endpoint = value if flag in ("-r", "--runtime-endpoint") else endpoint
        elif flag not in ("-D", "--debug"):
            process.err(f"flag provided but not defined: {flag}\n")
            return 1
    verb = words.pop(0) if words else "help"
    command = COMMANDS.get(verb)
    if command is None:
        process.out(f'No help topic for "{verb}"\n' if verb not in ("help", "h") else _help())
        return 3 if verb not in ("help", "h") else 0
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
        what = f"rpc error: code = NotFound desc = {error}"
        process.err(f"FATA[0000] {DOING.get(verb, verb)}: {what}\n")
        return 1


# fmt: off
DOING = {"inspect": "getting the status of the container", "inspectp": "getting the pod sandbox status", "logs":
         "getting the container logs", "exec": "execing command in container", "stop": "stopping the container",
         "rm": "removing the container", "stopp": "stopping the pod sandbox", "rmp": "removing the pod sandbox"}
# fmt: on


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
    return "NAME:\n   crictl - client for CRI\n\nCOMMANDS:\n" + "".join(f"   {name}\n" for name in sorted(COMMANDS))


# --- lists ---------------------------------------------------------------------------------------------------------
def _containers(process: Process, options: dict[str, str], ids: list[str]) -> "list[Container]":
    chosen = [c for c in runtime(process).containers.values() if c.sandbox.uid]
    wanted = options.get("s", "").lower()
    tests: list[Callable[[Container], bool]] = [
        lambda c: "a" in options or wanted != "" or c.state == "CONTAINER_RUNNING",
        lambda c: not wanted or STATES[c.state].lower() == wanted,
        lambda c: options.get("M", "") in c.name,
        lambda c: c.sandbox.id.startswith(options.get("p", "")),
        lambda c: not ids or any(c.id.startswith(id) for id in ids),
        lambda c: options.get("I", "") in (c.config.image.image_id.removeprefix("sha256:") + " " + c.config.image.name),
    ]
    return sorted((c for c in chosen if all(test(c) for test in tests)), key=lambda c: (-c.created, c.id))


def ps(process: Process) -> Steps:
    options, ids = parse(process, *LIST_OPTIONS)
    found, now, whole = _containers(process, options, ids), process.machine.loop.now, "v" in options
    found = found[: 1 if "l" in options else int(options.get("n", len(found)))]
    if "q" in options:
        process.out("".join(f"{c.id}\n" for c in found))
        return 0
    if options.get("o") in ("json", "yaml"):
        show(process, {"containers": [container_entry(c) for c in found]}, options["o"])
        return 0
    cut = 64 if whole else 13
    rows = [("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE")]
    rows += [
        (
            c.id[:cut], c.config.image.image_id.removeprefix("sha256:")[:cut], f"{human(now - c.created)} ago",
            STATES[c.state], c.name, str(c.config.attempt), c.sandbox.id[:cut], c.sandbox.name, c.sandbox.namespace,
        )
        for c in found
    ]  # fmt: skip
    process.out(common.tabbed(rows, minimum=20, padding=3))
    return 0
    yield 0.0


def pods(process: Process) -> Steps:
    options, ids = parse(process, *LIST_OPTIONS)
    now = process.machine.loop.now
    wanted = options.get("s", "").lower()
    label = options.get("B", "").partition("=")
    found = sorted(
        (
            s
            for s in runtime(process).sandboxes.values()
            if s.uid
            and options.get("M", "") in s.name
            and options.get("N", s.namespace) == s.namespace
            and (not wanted or wanted == ("ready" if s.ready else "notready"))
            and (not label[0] or s.labels.get(label[0]) == label[2])
            and s.id.startswith(options.get("i", ids[0] if ids else ""))
        ),
        key=lambda s: (-s.created, s.id),
    )
    if "q" in options:
        process.out("".join(f"{s.id}\n" for s in found))
        return 0
    if options.get("o") in ("json", "yaml"):
        show(process, {"items": [sandbox_entry(s) for s in found]}, options["o"])
        return 0
    cut = 64 if "v" in options else 13
    rows = [("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME")]
    rows += [
        (
            s.id[:cut], f"{human(now - s.created)} ago", "Ready" if s.ready else "NotReady", s.name, s.namespace,
            str(s.attempt), "(default)",
        )
        for s in found
    ]  # fmt: skip
    process.out(common.tabbed(rows, minimum=20, padding=3))
    return 0
    yield 0.0


def images(process: Process) -> Steps:
    options, operands = parse(
        process,
        "qv",
        "o",
        {"quiet": "q", "no-trunc": "v", "digests": "d", "output": "o", "verbose": "v", "pinned": "P"},
    )
    found = sorted(runtime(process).images.images.values(), key=lambda i: (i.repository, i.tag))
    found = [i for i in found if not operands or operands[0] in (i.repository, i.name, i.reference)]
    if "q" in options:
        process.out("".join(f"{i.image_id}\n" for i in found))
        return 0
    if options.get("o") in ("json", "yaml"):
        listed = [
            {"id": i.image_id, "repoTags": [i.name] if i.tag else [], "repoDigests": [i.id], "size": str(i.size)}
            for i in found
        ]
        show(process, {"images": listed}, options["o"])
        return 0
    digests = "d" in options
    rows = [["IMAGE", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "SIZE"]]
    for i in found:
        short = i.image_id.removeprefix("sha256:")[: 64 if "v" in options else 13]
        rows.append([i.repository, i.tag or "<none>", *([i.digest[:20]] if digests else []), short, size(i.size)])
    process.out(common.tabbed(rows, minimum=20, padding=3))
    return 0
    yield 0.0


def stats(process: Process) -> Steps:
    options, ids = parse(process, "a", "opi", {"all": "a", "output": "o", "pod": "p", "id": "i"})
    found = _containers(process, options, ids)
    rows = [("CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "SWAP")]
    for c in found:
        used = c.machine.usage if c.machine else None
        cores, memory = (used.cores, used.memory) if used else (0.0, 0)
        rows.append((c.id[:13], c.name, f"{cores * 100:.2f}", size(memory, digits=4), "28.67kB", "9", "0B"))
    process.out(common.tabbed(rows, minimum=20, padding=3))
    return 0
    yield 0.0


# --- doing ---------------------------------------------------------------------------------------------------------
def logs(process: Process) -> Steps:
    options, ids = parse(
        process, "fpt", "ns", {"follow": "f", "tail": "n", "previous": "p", "timestamps": "t", "since": "s"}
    )
    if not ids:
        process.err("FATA[0000] container ID cannot be empty\n")
        return 1
    return (yield from follow_log(process, find_container(process, ids[0]), options.get("n", ""), "f" in options))


def exec_(process: Process) -> Steps:
    options, words = _exec_words(process.argv[1:])
    if not words:
        process.err("FATA[0000] container ID cannot be empty\n")
        return 1
    container = find_container(process, words[0])
    return (yield from exec_in(process, container, words[1:], tty="t" in options, stdin="i" in options))


def _exec_words(words: list[str]) -> tuple[str, list[str]]:
    flags = ""
    words = list(words)
    while words and words[0].startswith("-"):
        flags += words.pop(0).replace("--interactive", "i").replace("--tty", "t").replace("--sync", "s").strip("-")
    return flags, words


def stop(process: Process) -> Steps:
    options, ids = parse(process, "a", "t", {"timeout": "t", "all": "a"})
    for word in ids:
        container = find_container(process, word)
        yield from stop_container(process, container, float(options.get("t", "0")))
        process.out(f"{word}\n")
    return 0
    yield 0.0


def rm(process: Process) -> Steps:
    options, ids = parse(process, "af", "", {"all": "a", "force": "f"})
    for word in ids:
        container = find_container(process, word)
        if container.state == "CONTAINER_RUNNING":
            if "f" not in options:
                process.err(f'ERRO[0000] container "{word}" is running, please stop it first\n')
                return 1
            runtime(process).kill(container)
        runtime(process).remove(container)
        process.out(f"{word}\n")
    return 0
    yield 0.0


def stopp(process: Process) -> Steps:
    for word in parse(process)[1]:
        runtime(process).stop_sandbox(find_sandbox(process, word))
        process.out(f"Stopped sandbox {word}\n")
    return 0
    yield 0.0


def rmp(process: Process) -> Steps:
    options, ids = parse(process, "af", "", {"all": "a", "force": "f"})
    for word in ids:
        sandbox = find_sandbox(process, word)
        if sandbox.ready and "f" not in options:
            process.err(f'ERRO[0000] pod sandbox "{word}" is running, please stop it first\n')
            return 1
        runtime(process).remove_sandbox(sandbox)
        process.out(f"Removed sandbox {word}\n")
    return 0
    yield 0.0


def pull(process: Process) -> Steps:
    words = parse(process, "", "c", {"creds": "c"})[1]
    for word in words:
        error = yield from pull_image(process, word)
        if error:
            process.err(f"FATA[0001] pulling image: {error}\n")
            return 1
        image = find_image(process, word)
        process.out(f"Image is up to date for {image.image_id if image else word}\n")
    return 0


def rmi(process: Process) -> Steps:
    _, words = parse(process, "aq", "", {"all": "a", "prune": "q"})
    for word in words:
        image = find_image(process, word)
        if image is None:
            process.err(f'ERRO[0000] no such image "{word}" present\n')
            return 1
        del runtime(process).images.images[image.name]
        process.out(f"Deleted: {image.name}\n")
    return 0
    yield 0.0


def version(process: Process) -> Steps:
    process.out("Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.2.0\nRuntimeApiVersion:  v1\n")
    return 0
    yield 0.0


def info(process: Process) -> Steps:
    network = process.machine.extra["node"].kubelet.node.network
    conditions = [{"message": "", "reason": "", "status": True, "type": "RuntimeReady"}]
    problem = "" if network else "Network plugin returns error: cni plugin not initialized"
    conditions.append(
        {
            "message": problem,
            "reason": "" if network else "NetworkPluginNotReady",
            "status": network,
            "type": "NetworkReady",
        }
    )
    config = {
        "containerdEndpoint": common.SOCKET,
        "containerdRootDir": "/var/lib/containerd",
        "rootDir": "/var/lib/containerd/io.containerd.grpc.v1.cri",
    }
    show(
        process, {"config": config, "runtimeHandlers": [{"name": "runc"}], "status": {"conditions": conditions}}, "json"
    )
    return 0
    yield 0.0


COMMANDS: dict[str, Command] = {
    "ps": ps, "pods": pods, "images": images, "image": images, "img": images, "stats": stats, "inspect": inspect,
    "inspectp": inspectp, "inspecti": inspecti, "logs": logs, "exec": exec_, "stop": stop, "rm": rm, "stopp": stopp,
    "rmp": rmp, "pull": pull, "rmi": rmi, "version": version, "info": info,
}  # fmt: skip
TOOLS: dict[str, Command] = {"crictl": checked(crictl)}
