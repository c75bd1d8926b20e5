"""Commands that look at files: ls, stat, du. busybox and the GNU programs say the same in other forms."""

from datetime import UTC, datetime

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, Node, normalize
from k8s_core.shell.pipes import Pipe
from k8s_core.shell.process import Process

COMMANDS = Table()
KINDS = {"d": "directory", "l": "symbolic link", "c": "character special file", "-": "regular file", "s": "socket"}
COLUMNS = 80


def size(node: Node) -> int:
    if isinstance(node, File | Link):
        return len(node.read() if isinstance(node, File) else node.target)
    return 4096 if isinstance(node, Directory) else 0


def mode(node: Node) -> str:
    kind = {Directory: "d", Link: "l", Device: "c"}
    first = next((letter for cls, letter in kind.items() if isinstance(node, cls)), "-")
    first = "s" if isinstance(node, Device) and node.kind == "socket" else first
    bits = "".join(letter if node.mode >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))
    return first + bits[:8] + ("t" if node.mode & 0o1000 else bits[8:])


def human(count: int, *, ash: bool = True) -> str:
    """4.0K and its like. GNU rounds up, and from 10 on leaves the fraction out."""
    for unit, limit in (("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
        if count < limit << 10 or unit == "G":
            break
    if not unit:
        return str(count)
    tenths = -(-count * 10 // limit)
    return (
        f"{count / limit:.1f}{unit}"
        if ash
        else f"{tenths / 10:.1f}{unit}"
        if tenths < 100
        else f"{-(-tenths // 10)}{unit}"
    )


def blocks(node: Node) -> int:
    """KiB on the disk."""
    return 0 if isinstance(node, Link) else (size(node) + 4095) // 4096 * 4


@COMMANDS(
    "ls",
    "la1hAdRtrSFnisgoLpcuk all=a almost-all=A human-readable=h recursive=R reverse=r color=_ group-directories-first=_",
)
def ls(process: Process, options: Options, operands: list[str]) -> None:
    plain: list[tuple[str, Node]] = []
    folders: list[tuple[str, Directory]] = []
    for path in operands or ["."]:
        try:
            node, real = process.fs.resolve(
                path, process.cwd, follow=not set(options) & set("lgo") or path.endswith("/")
            )
        except FileError as error:
            ash = process.ash
            process.fail(f"{path}: {error}" if ash else f"cannot access '{path}': {error}", 1 if ash else 2)
            continue
        if not isinstance(node, Directory) or "d" in options:
            plain.append((path, node))
            continue
        below = process.fs.walk(real) if "R" in options else [(real, node)]
        start = 0 if real == "/" else len(real)
        found = [(path.rstrip("/") + p[start:], n) for p, n in below if isinstance(n, Directory)]
        folders += [(path, node), *found[1:]]
    blocks = [_listing(process, plain, options, total=False)] if plain else []
    for name, folder in folders:
        shown = [n for n in folder.names() if set(options) & set("aA") or not n.startswith(".")]
        entries = [(n, entry) for n in shown if (entry := folder.get(n)) is not None]
        entries = ([(".", folder), ("..", folder)] if "a" in options else []) + entries
        heading = f"{name}:\n" if len(operands) > 1 or "R" in options else ""
        blocks.append(heading + _listing(process, entries, options))
    process.out("\n".join(blocks) if any(":\n" in b for b in blocks) else "".join(blocks))


def _listing(process: Process, entries: list[tuple[str, Node]], options: Options, *, total: bool = True) -> str:
    if "t" in options:
        entries = sorted(entries, key=lambda e: -e[1].mtime)
    if "S" in options:
        entries = sorted(entries, key=lambda e: -size(e[1]))
    if "r" in options:
        entries = entries[::-1]
    if not set(options) & set("lgo"):
        names = [name for name, _ in entries]
        width = max(map(len, names), default=0) + 2
        several = (
            max(1, COLUMNS // width)
            if process.tty and "1" not in options and not isinstance(process.stdout, Pipe)
            else 1
        )
        rows = [names[i : i + several] for i in range(0, len(names), several)]
        return "".join("".join(name.ljust(width) for name in row).rstrip() + "\n" for row in rows)
    count = sum(blocks(n) for _, n in entries)
    head = f"total {human(count << 10, ash=process.ash) if 'h' in options else count}\n" if total else ""
    found = [_row(process, name, node, readable="h" in options) for name, node in entries]
    # GNU's columns are as wide as they must be, busybox's always the same.
    widths = [4, 8, 8, 9] if process.ash else [max((len(row[i]) for row in found), default=0) for i in range(1, 5)]
    for bits, links, user, group, length, rest in found:
        who = ("" if "g" in options else f" {user:{widths[1]}}") + ("" if "o" in options else f" {group:{widths[2]}}")
        head += f"{bits} {links:>{widths[0]}}{who} {length:>{widths[3]}} {rest}\n"
    return head


def _row(process: Process, name: str, node: Node, *, readable: bool) -> tuple[str, ...]:
    """What ls -l says of an entry: mode, links, user, group, size, and the rest."""
    user, count = process.machine.user, human(size(node), ash=process.ash) if readable else str(size(node))
    when = datetime.fromtimestamp(node.mtime or process.machine.started, UTC).strftime("%b %e %H:%M")
    shown = f"{name} -> {node.target}" if isinstance(node, Link) else name
    return mode(node), str(_links(node, process.ash)), user, user, count, f"{when} {shown}"


def _links(node: Node, ash: bool) -> int:
    """A folder is named by its parent, by itself and by each folder in it."""
    if not isinstance(node, Directory):
        return 1
    return 2 if ash else 2 + sum(isinstance(node.get(name), Directory) for name in node.names())


@COMMANDS("stat", "Lftc: format=c")
def stat(process: Process, options: Options, operands: list[str]) -> int | None:
    for path in operands:
        try:
            node, _ = process.fs.resolve(path, process.cwd, follow="L" in options)
        except FileError as error:
            return process.fail(f"can't stat '{path}': {error}" if process.ash else f"cannot statx '{path}': {error}")
        kind, bits = KINDS[mode(node)[0]], node.mode & 0o7777
        if "c" in options:
            made = node.mtime or process.machine.started
            facts = {"n": path, "N": f"'{path}'", "s": size(node), "a": f"{bits:o}", "A": mode(node), "F": kind,
                     "U": "root", "G": "root", "u": 0, "g": 0, "Y": int(made), "y": _moment(made),
                     "h": _links(node, process.ash)}  # fmt: skip
            text = options["c"]
            for letter, value in facts.items():
                text = text.replace(f"%{letter}", str(value))
            process.print(text)
            continue
        when = _moment(node.mtime or process.machine.started)
        target = f" -> {node.target}" if isinstance(node, Link) else ""
        process.print(
            f"  File: {path}{target}",
            f"  Size: {size(node):<10}\tBlocks: {blocks(node) * 2:<10} IO Block: 4096   {kind}",
            f"Device: 252,1\tInode: {id(node) % 1_000_000:<11} Links: {_links(node, process.ash)}",
            f"Access: ({bits:04o}/{mode(node)})  Uid: (    0/    root)   Gid: (    0/    root)",
            *(f"{what:>6}: {when}" for what in ("Access", "Modify", "Change")),
            *([] if process.ash else [f" Birth: {when}"]),
        )
    return None


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S.%f000 +0000")


@COMMANDS("du", "shkamcxd: max-depth=d human-readable=h summarize=s all=a total=c")
def du(process: Process, options: Options, operands: list[str]) -> None:
    def show(count: int, path: str) -> None:
        unit = -(-count // 1024) if "m" in options else count
        process.print(f"{human(count << 10, ash=process.ash) if 'h' in options else unit}\t{path}")

    deepest = 0 if "s" in options else int(options.get("d", "99"))
    whole = 0
    for path in operands or ["."]:
        start = normalize(path, process.cwd)
        if process.fs.lookup(start, follow=False) is None:
            what = path if process.ash else f"cannot access '{path}'"
            process.fail(f"{what}: No such file or directory")
            continue
        sums: dict[str, int] = {}
        shown: list[tuple[str, bool]] = []
        for below, node in process.fs.walk(start):
            name = path.rstrip("/") + below[0 if start == "/" else len(start) :] or "/"
            shown.append((name, isinstance(node, Directory)))
            parts = name[len(path) :].split("/")
            for number in range(len(parts)):
                above = path + "/".join(parts[: number + 1])
                sums[above] = sums.get(above, 0) + blocks(node)
        depth = {name: name[len(path) :].count("/") for name, _ in shown}
        for name, folder in reversed(shown):  # what is in a folder comes before it
            if depth[name] <= deepest and (folder or "a" in options or name == path):
                show(sums[name], name)
        whole += sums[path]
    if "c" in options:
        show(whole, "total")
