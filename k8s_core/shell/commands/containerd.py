"""ctr, nerdctl and docker, typed on a node: clients of containerd (and of Docker's own daemon) beside the CRI.

containerd keeps namespaces apart: the kubelet's containers are in k8s.io, docker's in moby, and what ctr and nerdctl
show when they are not told otherwise is in default. That is why `docker ps` shows nothing of a Pod. Stands for
cmd/ctr, nerdctl and docker's client. Left out: building, pushing, networks, volumes, compose.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands.container_actions import exec_in, follow_log, pull_image, stop_container
from k8s_core.shell.commands.containers import Refused, find_image, human, runtime, size
from k8s_core.shell.commands.options import checked, parse
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container, Sandbox
    from k8s_core.kubelet.images import Image

KUBERNETES = "k8s.io"
PAUSE = "registry.k8s.io/pause:3.10.1"


def _namespace(words: list[str], process: Process, default: str) -> tuple[str, list[str]]:
    """(-n NAMESPACE or CONTAINERD_NAMESPACE, the other words)."""
    namespace, rest, words = process.env.get("CONTAINERD_NAMESPACE", default), [], list(words)
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        if flag in ("-n", "--namespace", "-a", "--address"):
            value = value if equals else words.pop(0) if words else ""
            namespace = value if flag in ("-n", "--namespace") else namespace
        else:
            rest.append(flag + equals + value)
    return namespace, rest + words


def _refused(process: Process, tool: str) -> bool:
    """Whether containerd does not answer; says so."""
    if common.reachable(process, common.SOCKET):
        return False
    if tool == "ctr":
        process.err(
            f'ctr: failed to dial "{common.SOCKET}": context deadline exceeded: connection error: desc = "transport: '
            f'error while dialing: dial unix:///{common.SOCKET}: timeout"\n'
        )
    else:
        process.err(
            f'time="{process.machine.loop.timestamp()}" level=fatal msg="cannot access containerd socket '
            f'\\"{common.SOCKET}\\": no such file or directory"\n'
        )
    return True


def _known(process: Process, namespace: str) -> "tuple[list[Sandbox], list[Container]]":
    """The sandboxes and containers of one of containerd's namespaces."""
    store = runtime(process)
    sandboxes = [s for s in store.sandboxes.values() if namespace == KUBERNETES and s.uid]
    found = [c for c in store.containers.values() if c.namespace == namespace]
    return sandboxes, found


def _find(process: Process, namespace: str, word: str) -> "Container":
    hits = [c for c in _known(process, namespace)[1] if c.id.startswith(word) or (c.config.name == word and word)]
    if len(hits) != 1:
        raise Refused(f"no such container {word}")
    return hits[0]


# --- ctr -----------------------------------------------------------------------------------------------------------
def ctr(process: Process) -> Steps:
    namespace, words = _namespace(process.argv[1:], process, "default")
    if words[:1] in (["version"], ["-v"], ["--version"]):
        process.out("Client:\n  Version:  v2.2.0\n\nServer:\n  Version:  v2.2.0\n")
        return 0
    if _refused(process, "ctr"):
        return 1
    group, verb = [*words, "", ""][:2]
    quiet = "-q" in words
    group = {"c": "containers", "container": "containers", "i": "images", "image": "images", "t": "tasks",
             "task": "tasks", "ns": "namespaces", "namespace": "namespaces"}.get(group, group)  # fmt: skip
    verb = "ls" if verb in ("list", "ls", "check", "ps") and group != "tasks" else verb
    tables: dict[tuple[str, str], Callable[[Process, str, bool], str]] = {
        ("namespaces", "ls"): _ctr_namespaces, ("containers", "ls"): _ctr_containers, ("images", "ls"): _ctr_images,
        ("tasks", "ls"): _ctr_tasks, ("tasks", "list"): _ctr_tasks,
    }  # fmt: skip
    table = tables.get((group, verb))
    if table:
        process.out(table(process, namespace, quiet))
        return 0
    try:
        if (group, verb) == ("images", "pull") and len(words) > 2:
            return (yield from _pull(process, words[-1]))
        if (group, verb) == ("containers", "info") and len(words) > 2:
            process.out(_ctr_info(_find(process, namespace, words[2])))
            return 0
        if (group, verb) in (("tasks", "kill"), ("tasks", "rm")) and len(words) > 2:
            container = _find(process, namespace, words[-1])
            yield from stop_container(process, container, 0 if "9" in " ".join(words) or "KILL" in words else 10)
            return 0
        if (group, verb) == ("tasks", "exec"):
            argv = [w for w in words[2:] if w not in ("-t", "--tty")]
            if argv[:1] == ["--exec-id"]:
                argv = argv[2:]
            if argv:
                return (
                    yield from exec_in(process, _find(process, namespace, argv[0]), argv[1:], tty=False, stdin=True)
                )
    except Refused as error:
        process.err(f'ctr: container "{str(error).rsplit(" ", 1)[-1]}" in namespace "{namespace}": not found\n')
        return 1
    process.out(
        f"No help topic for '{group}'\n" if not any(group == g for g, _ in tables) else f"ctr {group}: {verb}?\n"
    )
    return 3
    yield 0.0


def _ctr_namespaces(process: Process, namespace: str, quiet: bool) -> str:
    names = sorted({KUBERNETES, *(c.namespace for c in runtime(process).containers.values())})
    if quiet:
        return "".join(f"{name}\n" for name in names)
    return common.tabbed([("NAME", "LABELS"), *((n, "") for n in names)], minimum=1, padding=1, terminated=True)


def _ctr_containers(process: Process, namespace: str, quiet: bool) -> str:
    sandboxes, found = _known(process, namespace)
    rows = sorted([(s.id, PAUSE) for s in sandboxes] + [(c.id, c.config.image.name) for c in found])
    if quiet:
        return "".join(f"{id}\n" for id, _ in rows)
    table = [("CONTAINER", "IMAGE", "RUNTIME"), *((id, image, "io.containerd.runc.v2") for id, image in rows)]
    return common.tabbed(table, minimum=4, padding=4, terminated=True)


def _ctr_tasks(process: Process, namespace: str, quiet: bool) -> str:
    sandboxes, found = _known(process, namespace)
    rows = [(s.id, str(s.shim + 1), "RUNNING") for s in sandboxes if s.ready]
    for c in found:
        if c.state == "CONTAINER_RUNNING" and c.init:
            rows.append((c.id, str(c.init.host_pid), "RUNNING"))
    if quiet:
        return "".join(f"{id}\n" for id, _, _ in sorted(rows))
    return common.tabbed([("TASK", "PID", "STATUS"), *sorted(rows)], minimum=4, padding=4, terminated=True)


def _images(process: Process, namespace: str) -> "list[Image]":
    """Images belong to namespaces, too: those that were pulled in another one are not seen here."""
    store = runtime(process).images
    found = store.images.values() if namespace == KUBERNETES else store.others.get(namespace, {}).values()
    return sorted(found, key=lambda image: image.name)


def _ctr_images(process: Process, namespace: str, quiet: bool) -> str:
    found = _images(process, namespace)
    if quiet:
        return "".join(f"{i.name}\n" for i in found)
    kind = "application/vnd.oci.image.index.v1+json"
    rows = [("REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS")]
    for i in found:
        shown = (
            size(i.size, digits=3, base=1024, units=("B", "KiB", "MiB", "GiB"))
            .replace("iB", " iB")
            .replace(" iB", "iB")
        )
        rows.append(
            (
                i.name,
                kind,
                i.digest,
                shown,
                "linux/amd64",
                "io.cri-containerd.image=managed" if namespace == KUBERNETES else "-",
            )
        )
    return common.tabbed(rows, minimum=1, padding=1, terminated=True)


def _ctr_info(container: "Container") -> str:
    stamp = datetime.fromtimestamp(container.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    lines = [
        f'    "ID": "{container.id}",',
        f'    "Image": "{container.config.image.name}",',
        '    "Runtime": {"Name": "io.containerd.runc.v2"},',
        '    "Snapshotter": "overlayfs",',
        f'    "CreatedAt": "{stamp}",',
        f'    "SandboxID": "{container.sandbox.id}"',
    ]
    return "{\n" + "\n".join(lines) + "\n}\n"


def _pull(process: Process, word: str, namespace: str = "default") -> Steps:
    full = (
        word
        if word.count("/") >= 2 or "." in word.split("/", maxsplit=1)[0]
        else f"docker.io/{'' if '/' in word else 'library/'}{word}"
    )
    error = yield from pull_image(process, full, namespace)
    if error:
        process.err(f"{process.argv[0]}: {error.rpartition('desc = ')[2]}\n")
        return 1
    process.out(f"{full}: resolved       |++++++++++++++++++++++++++++++++++++++|\ndone\n")
    return 0


# --- nerdctl and docker --------------------------------------------------------------------------------------------
def nerdctl(process: Process) -> Steps:
    namespace, words = _namespace(process.argv[1:], process, "default")
    if _refused(process, "nerdctl"):
        return 1
    if words[:2] in (["namespace", "ls"], ["ns", "ls"]):
        rows = [("NAME", "CONTAINERS", "IMAGES", "VOLUMES", "LABELS")]
        for name in sorted({KUBERNETES, *(c.namespace for c in runtime(process).containers.values())}):
            sandboxes, found = _known(process, name)
            rows.append((name, str(len(sandboxes) + len(found)), str(len(_images(process, name))), "0", ""))
        process.out(common.tabbed(rows, minimum=4, padding=4, terminated=True))
        return 0
    return (yield from _docker_like(process, "nerdctl", namespace, words))


def docker(process: Process) -> Steps:
    return (yield from _docker_like(process, "docker", "moby", list(process.argv[1:])))


def _docker_like(process: Process, tool: str, namespace: str, words: list[str]) -> Steps:
    if words[:1] == ["container"] or words[:1] == ["image"]:
        words = ["images" if words[0] == "image" and words[1:2] == ["ls"] else w for w in words[1:]]
    verb, rest = (words[0], words[1:]) if words else ("help", [])
    process.argv = [tool, *rest]
    known: dict[str, Callable[[Process, str, str], Steps]] = {
        "ps": _ps, "ls": _ps, "images": _docker_images, "version": _version, "info": _version, "logs": _logs,
        "exec": _exec, "stop": _stop, "kill": _stop, "rm": _rm, "pull": _docker_pull, "run": _run, "inspect": _inspect,
    }  # fmt: skip
    if verb not in known:
        process.err(
            f"{tool}: unknown command: {verb}\n" if tool == "docker" else f'unknown command "{verb}" for "nerdctl"\n'
        )
        return 1
    try:
        return (yield from known[verb](process, tool, namespace))
    except Refused as error:
        said = str(error).replace("no such container ", "No such container: ") if tool == "docker" else str(error)
        process.err(f"Error response from daemon: {said}\n" if tool == "docker" else f"{said}\n")
        return 1


def _ps(process: Process, tool: str, namespace: str) -> Steps:
    options, _ = parse(process, "aqn", "f", {"all": "a", "quiet": "q", "no-trunc": "n", "filter": "f"})
    sandboxes, found = _known(process, namespace)
    now, rows = process.machine.loop.now, list[tuple[float, tuple[str, ...]]]()
    for s in sandboxes:
        if s.ready or "a" in options:
            state = "Up" if s.ready else "Exited"
            name = f"k8s://{s.namespace}/{s.name}"
            rows.append((s.created, (s.id[:12], PAUSE, '"/pause"', f"{human(now - s.created)} ago", state, "", name)))
    for c in found:
        if c.state != "CONTAINER_RUNNING" and "a" not in options:
            continue
        argv = " ".join(c.init.argv if c.init else c.config.command)
        shown = f'"{argv if len(argv) <= 20 else argv[:19] + "…"}"'
        state = "Up" if c.state == "CONTAINER_RUNNING" else f"Exited ({c.exit_code}) {human(now - c.finished)} ago"
        if tool == "docker" and state == "Up":
            state = f"Up {human(now - c.started)}"
        name = f"k8s://{c.sandbox.namespace}/{c.sandbox.name}/{c.name}" if namespace == KUBERNETES else c.name
        rows.append(
            (
                c.created,
                (
                    c.id[:12],
                    c.config.image.name if tool == "nerdctl" else c.config.image.reference,
                    shown,
                    f"{human(now - c.created)} ago",
                    state,
                    "",
                    name,
                ),
            )
        )
    rows.sort(key=lambda row: (-row[0], row[1]))
    if "q" in options:
        process.out("".join(f"{row[0]}\n" for _, row in rows))
        return 0
    head = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
    padding = 3 if tool == "docker" else 4
    process.out(
        common.tabbed([head, *(row for _, row in rows)], minimum=10 if tool == "docker" else 4, padding=padding)
    )
    return 0
    yield 0.0


def _docker_images(process: Process, tool: str, namespace: str) -> Steps:
    parse(process, "aqn", "", {"all": "a", "quiet": "q"})
    found = _images(process, namespace)
    if tool == "docker":
        rows = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")]
        rows += [(i.reference.rpartition(":")[0], i.tag, i.image_id[7:19], "3 weeks ago", size(i.size)) for i in found]
        process.out(common.tabbed(rows, minimum=10, padding=3))
        return 0
    wide = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "PLATFORM", "SIZE", "BLOB SIZE")]
    for i in found:
        repository = i.repository.removeprefix("docker.io/library/").removeprefix("docker.io/")
        wide.append((repository, i.tag, i.digest[7:19], "3 weeks ago", "linux/amd64", size(i.size * 2.6), size(i.size)))
    process.out(common.tabbed(wide, minimum=4, padding=4))
    return 0
    yield 0.0


def _version(process: Process, tool: str, namespace: str) -> Steps:
    if tool == "docker":
        process.out(
            "Client: Docker Engine - Community\n Version:           29.1.0\n\nServer: Docker Engine - Community\n"
            " Engine:\n  Version:          29.1.0\n containerd:\n  Version:          v2.2.0\n"
        )
    else:
        process.out(
            "Client:\n Version:\tv2.2.0\n\nServer:\n containerd:\n  Version:\tv2.2.0\n runc:\n  Version:\t1.3.3\n"
        )
    return 0
    yield 0.0


def _logs(process: Process, tool: str, namespace: str) -> Steps:
    options, words = parse(process, "ft", "n", {"follow": "f", "tail": "n", "timestamps": "t"})
    container = _find(process, namespace, words[0] if words else "")
    return (yield from follow_log(process, container, options.get("n", ""), "f" in options))


def _exec(process: Process, tool: str, namespace: str) -> Steps:
    words, flags = list(process.argv[1:]), ""
    while words and words[0].startswith("-"):
        flags += words.pop(0)
    container = _find(process, namespace, words[0] if words else "")
    return (yield from exec_in(process, container, words[1:], tty="t" in flags, stdin="i" in flags))


def _stop(process: Process, tool: str, namespace: str) -> Steps:
    for word in parse(process, "", "ts", {"time": "t", "timeout": "t", "signal": "s"})[1]:
        yield from stop_container(process, _find(process, namespace, word), 10.0)
        process.out(f"{word}\n")
    return 0


def _rm(process: Process, tool: str, namespace: str) -> Steps:
    options, words = parse(process, "fv", "", {"force": "f"})
    for word in words:
        container = _find(process, namespace, word)
        if container.state == "CONTAINER_RUNNING" and "f" not in options:
            raise Refused(f"cannot remove container {word}: container is running")
        runtime(process).kill(container)
        runtime(process).remove(container)
        process.out(f"{word}\n")
    return 0
    yield 0.0


def _docker_pull(process: Process, tool: str, namespace: str) -> Steps:
    return (yield from _pull(process, process.argv[-1], namespace))


def _run(process: Process, tool: str, namespace: str) -> Steps:
    """run [-d] [--rm] [--name NAME] IMAGE [COMMAND ...]: a container that no kubelet knows."""
    words, options = list(process.argv[1:]), dict[str, str]()
    while words and words[0].startswith("-"):
        flag, equals, value = words.pop(0).partition("=")
        takes = flag in ("--name", "-p", "--publish", "-e", "--env", "-v", "--volume", "--network", "--restart")
        options[flag] = value if equals else (words.pop(0) if words and takes else "yes")
    if not words:
        process.err(f"{tool}: requires at least 1 argument\n")
        return 1
    if find_image(process, words[0]) not in _images(process, namespace):
        code = yield from _pull(process, words[0], namespace)
        if code:
            return code
    container = runtime(process).run_alone(
        process.machine.network, namespace, options.get("--name", ""), words[0], words[1:]
    )
    if "-d" in options or "--detach" in options:
        process.out(f"{container.id}\n")
        return 0
    code = yield from follow_log(process, container, "", True)
    if "--rm" in options:
        runtime(process).remove(container)
    return container.exit_code or code


def _inspect(process: Process, tool: str, namespace: str) -> Steps:
    for word in parse(process, "", "fo", {"format": "f"})[1]:
        process.out(_ctr_info(_find(process, namespace, word)))
    return 0
    yield 0.0


COMMANDS: dict[str, Command] = {
    name: checked(c) for name, c in {"ctr": ctr, "nerdctl": nerdctl, "docker": docker}.items()
}
