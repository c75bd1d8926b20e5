"""What crictl, ctr, nerdctl and docker have in common: tables, times and sizes as Go's libraries print them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from k8s_core.shell.fs import Device
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container, Sandbox
    from k8s_core.kubelet.images import Image
    from k8s_core.kubelet.runtime import Runtime

SOCKET = "/run/containerd/containerd.sock"
PAUSE = "registry.k8s.io/pause:3.10.1"
RUNNING = "CONTAINER_RUNNING"
NEVER = "0001-01-01T00:00:00Z"


class Refused(Exception):
    """What the tool says before it gives up."""


def runtime(process: Process) -> "Runtime":
    found: Runtime = process.machine.extra["node"].runtime
    return found


def reachable(process: Process, path: str) -> bool:
    """Whether containerd's socket is where it is looked for."""
    return isinstance(process.fs.lookup(path), Device)


def tabbed(rows: Iterable[Sequence[str]], *, minimum: int, padding: int, terminated: bool = False) -> str:
    """text/tabwriter: columns at least `minimum` wide; `terminated` rows end in a tab, so their last cell is padded."""
    rows = [list(row) for row in rows]
    widths = [max(max(len(row[i]) for row in rows) + padding, minimum) for i in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if not terminated:
            cells[-1] = row[-1]
        lines.append("".join(cells))
    return "".join(f"{line}\n" for line in lines)


def human(seconds: float) -> str:
    """go-units' HumanDuration."""
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    for limit, divisor, name in ((48, 1, "hours"), (336, 24, "days"), (1440, 168, "weeks"), (17520, 720, "months")):
        if hours < limit:
            return "About an hour" if hours == 1 else f"{hours // divisor} {name}"
    return f"{hours // 8760} years"


def size(number: float, *, digits: int = 3, base: int = 1000, units: Sequence[str] = ("B", "kB", "MB", "GB")) -> str:
    """go-units' HumanSizeWithPrecision."""
    index = 0
    while number >= base and index < len(units) - 1:
        number, index = number / base, index + 1
    return f"{number:.{digits}g}{units[index]}" if number < 10**digits else f"{number:.0f}{units[index]}"


def find_container(process: Process, word: str) -> "Container":
    """The one container whose id (or name, among the running) begins so."""
    known = runtime(process).containers
    hits = [c for id, c in known.items() if id.startswith(word)]
    if len(hits) != 1:
        raise Refused(f'an error occurred when try to find container "{word}": not found')
    return hits[0]


def find_sandbox(process: Process, word: str) -> "Sandbox":
    hits = [s for id, s in runtime(process).sandboxes.items() if id.startswith(word)]
    if len(hits) != 1:
        raise Refused(f'an error occurred when try to find sandbox: "{word}": not found')
    return hits[0]


def find_image(process: Process, word: str) -> "Image | None":
    """An image by name, repository (then its tag is latest), id or digest."""
    from k8s_core.kubelet import images  # noqa: PLC0415  it is above the shell

    store = runtime(process).images.images
    bare = word.removeprefix("sha256:")
    for image in store.values():
        if word in (image.name, image.reference, image.id) or image.image_id.removeprefix("sha256:").startswith(bare):
            return image
    try:
        return store.get(images.parse(word).name)
    except images.InvalidImageName:
        return None


def template(text: str, value: Any) -> str:
    """A Go template of plain paths: {{.info.pid}}."""

    def one(match: re.Match[str]) -> str:
        found = value
        for key in match[1].split("."):
            found = found.get(key, "<no value>") if isinstance(found, dict) else "<no value>"
        return str(found)

    return re.sub(r"\{\{\s*\.([\w.]+)\s*\}\}", one, text)


def stamp(time: float) -> str:
    """RFC 3339 with nanoseconds, as Go prints it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z" if time else NEVER


def show(process: Process, value: Any, options: Mapping[str, str]) -> None:
    """A document as -o asks for it: json, yaml or go-template with -t."""
    form = options.get("o", "json")
    if form == "go-template":
        process.print(template(options.get("t", ""), value))
    else:
        process.out(yaml.safe_dump(value) if form == "yaml" else json.dumps(value, indent=2) + "\n")
