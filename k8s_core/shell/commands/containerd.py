"""ctr, nerdctl and docker, typed on a node: clients of containerd (and of Docker's own daemon) beside the CRI.

containerd keeps namespaces apart: the kubelet's containers are in k8s.io, docker's in moby, and what ctr and nerdctl
show when they are not told otherwise is in default. That is why `docker ps` shows nothing of a Pod. Stands for
cmd/ctr, nerdctl and docker's client. Left out: building, pushing, networks, volumes, compose.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from k8s_core.shell.commands import containers as common
from k8s_core.shell.commands.container_actions import exec_in, follow_log, pull_image, stop_container
from k8s_core.shell.commands.containers import PAUSE, RUNNING, Refused, find_image, human, runtime, size, stamp
from k8s_core.shell.commands.options import Result, Spec, Table, outcome
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container, Sandbox
    from k8s_core.kubelet.images import Image

COMMANDS = Table()

KUBERNETES = "k8s.io"
Rows = list[tuple[str, ...]]


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
GROUPS = {"c": "containers", "container": "containers", "i": "images", "image": "images", "t": "tasks", "task": "tasks",
          "ns": "namespaces", "namespace": "namespaces"}  # fmt: skip


@COMMANDS.plain("ctr")
def ctr(process: Process) -> Steps:
    namespace, words = _namespace(process.argv[1:], process, "default")
    if words[:1] in (["version"], ["-v"], ["--version"]):
        process.print("Client:\n  Version:  v2.2.0\n\nServer:\n  Version:  v2.2.0")
        return 0
    if _refused(process, "ctr"):
        return 1
    group, verb, *rest = [*words, "", ""]
    group = GROUPS.get(group, group)
    rest = [word for word in rest if word]
    if group in LISTS and (verb in ("list", "ls") or (verb in ("check", "ps") and group != "tasks")):
        head, *rows = LISTS[group](process, namespace)
        wide = 4 if group in ("containers", "tasks") else 1
        if "-q" in words:
            process.print(*(row[0] for row in rows))
        else:
            process.out(common.tabbed([head, *rows], minimum=wide, padding=wide, terminated=True))
        return 0
    try:
        match group, verb, rest:
            case "images", "pull", [*_, image]:
                return (yield from _pull(process, image))
            case "containers", "info", [word, *_]:
                process.print(_ctr_info(_find(process, namespace, word)))
                return 0
            case "tasks", "kill" | "rm", [*_, word]:
                container = _find(process, namespace, word)
                yield from stop_container(process, container, 0 if "9" in " ".join(words) or "KILL" in words else 10)
                return 0
            case "tasks", "exec", [*_]:
                argv = [word for word in rest if word not in ("-t", "--tty")]
                argv = argv[2:] if argv[:1] == ["--exec-id"] else argv
                if argv:
                    container = _find(process, namespace, argv[0])
                    return (yield from exec_in(process, container, argv[1:], tty=False, stdin=True))
    except Refused as error:
        process.err(f'ctr: container "{str(error).rsplit(" ", 1)[-1]}" in namespace "{namespace}": not found\n')
        return 1
    process.print(f"ctr {group}: {verb}?" if group in LISTS else f"No help topic for '{group}'")
    return 3


def _namespaces(process: Process) -> list[str]:
    return sorted({KUBERNETES, *(c.namespace for c in runtime(process).containers.values())})


def _ctr_namespaces(process: Process, namespace: str) -> Rows:
    return [("NAME", "LABELS"), *((name, "") for name in _namespaces(process))]


def _ctr_containers(process: Process, namespace: str) -> Rows:
    sandboxes, found = _known(process, namespace)
    rows = sorted([(s.id, PAUSE) for s in sandboxes] + [(c.id, c.config.image.name) for c in found])
    return [("CONTAINER", "IMAGE", "RUNTIME"), *((id, image, "io.containerd.runc.v2") for id, image in rows)]


def _ctr_tasks(process: Process, namespace: str) -> Rows:
    sandboxes, found = _known(process, namespace)
    rows = [(s.id, str(s.shim + 1), "RUNNING") for s in sandboxes if s.ready]
    rows += [(c.id, str(c.init.host_pid), "RUNNING") for c in found if c.state == RUNNING and c.init]
    return [("TASK", "PID", "STATUS"), *sorted(rows)]


def _ctr_images(process: Process, namespace: str) -> Rows:
    kind, units = "application/vnd.oci.image.index.v1+json", ("B", "KiB", "MiB", "GiB")
    label = "io.cri-containerd.image=managed" if namespace == KUBERNETES else "-"
    rows = [
        (i.name, kind, i.digest, size(i.size, base=1024, units=units), "linux/amd64", label)
        for i in _images(process, namespace)
    ]
    return [("REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"), *rows]


LISTS: dict[str, Callable[[Process, str], Rows]] = {
    "namespaces": _ctr_namespaces, "containers": _ctr_containers, "images": _ctr_images, "tasks": _ctr_tasks,
}  # fmt: skip


def _images(process: Process, namespace: str) -> "list[Image]":
    """Images belong to namespaces, too: those that were pulled in another one are not seen here."""
    store = runtime(process).images
    found = store.images.values() if namespace == KUBERNETES else store.others.get(namespace, {}).values()
    return sorted(found, key=lambda image: image.name)


def _ctr_info(container: "Container") -> str:
    lines = [
        f'"ID": "{container.id}"', f'"Image": "{container.config.image.name}"',
        '"Runtime": {"Name": "io.containerd.runc.v2"}', '"Snapshotter": "overlayfs"',
        f'"CreatedAt": "{stamp(container.created)}"', f'"SandboxID": "{container.sandbox.id}"',
    ]  # fmt: skip
    return "{\n" + ",\n".join(f"    {line}" for line in lines) + "\n}"


def _pull(process: Process, word: str, namespace: str = "default") -> Steps:
    complete = word.count("/") >= 2 or "." in word.split("/", maxsplit=1)[0]
    full = word if complete else f"docker.io/{'' if '/' in word else 'library/'}{word}"
    error = yield from pull_image(process, full, namespace)
    if error:
        process.err(f"{process.argv[0]}: {error.rpartition('desc = ')[2]}\n")
        return 1
    process.print(f"{full}: resolved       |++++++++++++++++++++++++++++++++++++++|\ndone")
    return 0


# --- nerdctl and docker --------------------------------------------------------------------------------------------
@COMMANDS.plain("nerdctl")
def nerdctl(process: Process) -> Steps:
    namespace, words = _namespace(process.argv[1:], process, "default")
    if _refused(process, "nerdctl"):
        return 1
    if words[:2] in (["namespace", "ls"], ["ns", "ls"]):
        rows = [("NAME", "CONTAINERS", "IMAGES", "VOLUMES", "LABELS")]
        for name in _namespaces(process):
            sandboxes, found = _known(process, name)
            rows.append((name, str(len(sandboxes) + len(found)), str(len(_images(process, name))), "0", ""))
        process.out(common.tabbed(rows, minimum=4, padding=4, terminated=True))
        return 0
    return (yield from _docker_like(process, "nerdctl", namespace, words))


@COMMANDS.plain("docker")
def docker(process: Process) -> Steps:
    return (yield from _docker_like(process, "docker", "moby", list(process.argv[1:])))


def _docker_like(process: Process, tool: str, namespace: str, words: list[str]) -> Steps:
    if words[:1] == ["container"] or words[:1] == ["image"]:
        words = ["images" if words[0] == "image" and words[1:2] == ["ls"] else w for w in words[1:]]
    verb, rest = (words[0], words[1:]) if words else ("help", [])
    process.argv = [tool, *rest]
    known: dict[str, Callable[[Process, str, str], Result]] = {
        "ps": _ps, "ls": _ps, "images": _docker_images, "version": _version, "info": _version, "logs": _logs,
        "exec": _exec, "stop": _stop, "kill": _stop, "rm": _rm, "pull": _docker_pull, "run": _run, "inspect": _inspect,
    }  # fmt: skip
    if verb not in known:
        said = f"docker: unknown command: {verb}" if tool == "docker" else f'unknown command "{verb}" for "nerdctl"'
        process.err(f"{said}\n")
        return 1
    try:
        return (yield from outcome(process, known[verb](process, tool, namespace)))
    except Refused as error:
        said = str(error).replace("no such container ", "No such container: ") if tool == "docker" else str(error)
        process.err(f"Error response from daemon: {said}\n" if tool == "docker" else f"{said}\n")
        return 1


def _ps(process: Process, tool: str, namespace: str) -> None:
    options, _ = Spec("aqnf:F: all=a quiet=q no-trunc=n filter=f format=F").parse(process)
    sandboxes, found = _known(process, namespace)
    now, rows = process.machine.loop.now, list[tuple[float, tuple[str, ...]]]()
    for s in sandboxes:
        if s.ready or "a" in options:
            state = "Up" if s.ready else "Exited"
            name = f"k8s://{s.namespace}/{s.name}"
            rows.append((s.created, (s.id[:12], PAUSE, '"/pause"', f"{human(now - s.created)} ago", state, "", name)))
    for c in found:
        if c.state != RUNNING and "a" not in options:
            continue
        argv = " ".join(c.init.argv if c.init else c.config.command)
        shown = f'"{argv if len(argv) <= 20 else argv[:19] + "…"}"'
        state = f"Exited ({c.exit_code}) {human(now - c.finished)} ago"
        if c.state == RUNNING:
            state = f"Up {human(now - c.started)}" if tool == "docker" else "Up"
        image = c.config.image.name if tool == "nerdctl" else c.config.image.reference
        name = f"k8s://{c.sandbox.namespace}/{c.sandbox.name}/{c.name}" if namespace == KUBERNETES else c.name
        rows.append((c.created, (c.id[:12], image, shown, f"{human(now - c.created)} ago", state, "", name)))
    rows.sort(key=lambda row: (-row[0], row[1]))
    head = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
    if "q" in options:
        process.print(*(row[0] for _, row in rows))
    elif template := str(options.get("F", "")):
        process.out(_formatted(tool, template, head, [row for _, row in rows]))
    else:
        process.out(_tabbed(tool, [head, *(row for _, row in rows)]))


FIELDS = ("ID", "Image", "Command", "CreatedAt", "Status", "Ports", "Names")


def _formatted(tool: str, template: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """--format: json, or a line for each container with {{.Field}} filled in; "table" puts a head above."""
    if template == "json":
        return "".join(f"{json.dumps(dict(zip(FIELDS, row, strict=True)))}\n" for row in rows)
    table = template.startswith("table ")
    line = template.removeprefix("table ").replace("\\t", "\t")
    unknown = [name for name in re.findall(r"\{\{\s*\.(\w+)\s*\}\}", line) if name not in FIELDS]
    if unknown:
        raise Refused(f"template: :1: can't evaluate field {unknown[0]}")
    filled = [
        re.sub(r"\{\{\s*\.(\w+)\s*\}\}", lambda m: row[FIELDS.index(m[1])], line)  # noqa: B023  used at once
        for row in ([head, *rows] if table else rows)
    ]
    return _tabbed(tool, [each.split("\t") for each in filled]) if table else "".join(f"{each}\n" for each in filled)


def _tabbed(tool: str, rows: Sequence[Sequence[str]]) -> str:
    return common.tabbed(rows, minimum=10, padding=3) if tool == "docker" else common.tabbed(rows, minimum=4, padding=4)


def _docker_images(process: Process, tool: str, namespace: str) -> None:
    Spec("aqn all=a quiet=q").parse(process)
    rows: Rows = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")]
    if tool == "nerdctl":
        rows = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "PLATFORM", "SIZE", "BLOB SIZE")]
    for i in _images(process, namespace):
        if tool == "docker":
            rows.append((i.reference.rpartition(":")[0], i.tag, i.image_id[7:19], "3 weeks ago", size(i.size)))
            continue
        name = i.repository.removeprefix("docker.io/library/").removeprefix("docker.io/")
        rows.append((name, i.tag, i.digest[7:19], "3 weeks ago", "linux/amd64", size(i.size * 2.6), size(i.size)))
    process.out(_tabbed(tool, rows))


def _version(process: Process, tool: str, namespace: str) -> None:
    if tool == "docker":
        process.print("Client: Docker Engine - Community\n Version:           29.1.0\n")
        process.print("Server: Docker Engine - Community\n Engine:\n  Version:          29.1.0")
        process.print(" containerd:\n  Version:          v2.2.0")
    else:
        process.print("Client:\n Version:\tv2.2.0\n\nServer:\n containerd:\n  Version:\tv2.2.0")
        process.print(" runc:\n  Version:\t1.3.3")


def _logs(process: Process, tool: str, namespace: str) -> Steps:
    options, words = Spec("ftn: follow=f tail=n timestamps=t").parse(process)
    container = _find(process, namespace, words[0] if words else "")
    return (yield from follow_log(process, container, options.get("n", ""), "f" in options))


def _exec(process: Process, tool: str, namespace: str) -> Steps:
    words, flags = list(process.argv[1:]), ""
    while words and words[0].startswith("-"):
        flags += words.pop(0)
    container = _find(process, namespace, words[0] if words else "")
    return (yield from exec_in(process, container, words[1:], tty="t" in flags, stdin="i" in flags))


def _stop(process: Process, tool: str, namespace: str) -> Steps:
    for word in Spec("t:s: time=t timeout=t signal=s").parse(process)[1]:
        yield from stop_container(process, _find(process, namespace, word), 10.0)
        process.print(word)
    return 0


def _rm(process: Process, tool: str, namespace: str) -> None:
    options, words = Spec("fv force=f").parse(process)
    for word in words:
        container = _find(process, namespace, word)
        if container.state == RUNNING and "f" not in options:
            raise Refused(f"cannot remove container {word}: container is running")
        runtime(process).kill(container)
        runtime(process).remove(container)
        process.print(word)


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
        process.print(container.id)
        return 0
    code = yield from follow_log(process, container, "", True)
    if "--rm" in options:
        runtime(process).remove(container)
    return container.exit_code or code


def _inspect(process: Process, tool: str, namespace: str) -> None:
    for word in Spec("f:o: format=f").parse(process)[1]:
        process.print(_ctr_info(_find(process, namespace, word)))
