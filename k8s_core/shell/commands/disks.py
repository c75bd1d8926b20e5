"""Commands that look at file systems: df, mount.

A container's root is an overlay on its node's disk, and so are its volumes but those in memory: what df says of them is
what is left there.
"""

from k8s_core.shell.commands.listing import human
from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import Directory, normalize
from k8s_core.shell.process import Process

COMMANDS = Table()
DISK, TMPFS = "/dev/vda1", "tmpfs"
KINDS = {DISK: "ext4"}
MEMORY_KIB = {"/dev": 65536, "/run": 393216}
"""How big the file systems in memory are; others are as big as /run."""


def _systems(process: Process) -> dict[str, str]:
    """Mount point -> device, the root first."""
    if "node" in process.machine.extra:
        return {"/": DISK, "/run": TMPFS}
    found = {"/": "overlay", "/dev": TMPFS}
    for path, (node, _) in sorted(process.fs.mounts.items()):
        if path not in ("/", "/dev", "/proc"):
            found[path] = TMPFS if isinstance(node, Directory) and node.tmpfs else DISK
    return found


@COMMANDS("df", "hikPTat:x: human-readable=h print-type=T inodes=i")
def df(process: Process, options: Options, operands: list[str]) -> None:
    systems = _systems(process)
    shown = list(systems)
    if operands:
        shown = []
        for path in operands:
            whole = normalize(path, process.cwd)
            if process.lookup(path) is None:
                process.fail(f"{path}: No such file or directory")
            else:
                shown.append(max((at for at in systems if f"{whole}/".startswith(at.rstrip("/") + "/")), key=len))
        if not shown:
            return
    rows = []
    for at in shown:
        size, left = _figures(process, systems[at], at, inodes="i" in options)
        used = size - left
        share = -(-used * 100 // size)
        numbers = [_amount(process, options, number) for number in (size, used, left)]
        kind = [KINDS.get(systems[at], systems[at])] if "T" in options else []
        rows.append([systems[at], *kind, *numbers, f"{share}%", at])
    _print(process, options, rows)


def _figures(process: Process, device: str, at: str, *, inodes: bool) -> tuple[int, int]:
    """(how much there is, how much is left), in KiB or inodes."""
    if device != TMPFS:
        size, left = process.machine.left("inodes" if inodes else "disk")
        return (size, left) if inodes else (size >> 10, max(left, 0) >> 10)
    size = MEMORY_KIB.get(at, MEMORY_KIB["/run"])
    return (size // 4, size // 4 - 17) if inodes else (size, size)


def _amount(process: Process, options: Options, number: int) -> str:
    if "h" not in options:
        return str(number)
    if process.ash:
        return human(number << 10).removesuffix(".0") if number else "0"
    return human(number if "i" in options else number << 10, ash=False)


def _print(process: Process, options: Options, rows: list[list[str]]) -> None:
    first = "Inodes" if "i" in options else "Size" if "h" in options else "1K-blocks"
    if process.ash:
        kind = "Type       " if "T" in options else ""
        process.print(f"Filesystem           {kind}{first:>9}      Used Available Use% Mounted on")
        for device, *kinds, size, used, left, share, at in rows:
            typed = "".join(f"{each:<11}" for each in kinds)
            process.print(f"{device:<20} {typed}{size:>9} {used:>9} {left:>9} {share:>4} {at}")
        return
    short = "h" in options and "i" not in options
    names = ["IUsed", "IFree", "IUse%"] if "i" in options else ["Used", "Avail" if short else "Available", "Use%"]
    table = [["Filesystem", *(["Type"] if "T" in options else []), first, *names, "Mounted on"], *rows]
    least = [14, *([4] if "T" in options else []), 5, 5, 5, 4, 0]
    widths = [max(least[column], *(len(row[column]) for row in table)) for column in range(len(least))]
    words = 2 if "T" in options else 1
    for row in table:
        cells = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        process.print(" ".join([*cells, row[-1]]))


@COMMANDS.plain("mount")
def mount(process: Process) -> None:
    systems = _systems(process)
    process.print(f"{systems['/']} on / type {KINDS.get(systems['/'], systems['/'])} (rw,relatime)")
    process.print("proc on /proc type proc (rw,nosuid,nodev,noexec,relatime)")
    for at, device in list(systems.items())[1:]:
        how = "ro" if process.fs.mounts.get(at, (None, False))[1] else "rw"
        more = f",nosuid,size={MEMORY_KIB[at]}k,mode=755" if at in MEMORY_KIB else ",relatime"
        process.print(f"{device} on {at} type {KINDS.get(device, device)} ({how}{more})")
