"""Commands that look at files: ls, find, stat, du."""

import fnmatch
from datetime import UTC, datetime

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, Node, normalize
from k8s_core.shell.process import Process

COMMANDS = Table()
KINDS = {"d": "directory", "l": "symbolic link", "c": "character special file", "-": "regular file"}
COLUMNS = 80


def size(node: Node) -> int:
    if isinstance(node, Link):
        return len(node.target)
    return len(node.read()) if isinstance(node, File) else 4096 if isinstance(node, Directory) else 0


def mode(node: Node) -> str:
    kind = {Directory: "d", Link: "l", Device: "c"}
    first = next((letter for cls, letter in kind.items() if isinstance(node, cls)), "-")
    bits = "".join(letter if node.mode >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))
    return first + bits[:8] + ("t" if node.mode & 0o1000 else bits[8:])


def human(count: int) -> str:
    """4.0K and its like."""
    for unit, limit in (("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
        if count < limit << 10 or unit == "G":
            break
    return f"{count / limit:.1f}{unit}" if unit else str(count)


@COMMANDS("ls", "la1hAdRtrSFnis all=a color=_")
def ls(process: Process, options: Options, operands: list[str]) -> None:
    plain: list[tuple[str, Node]] = []
    folders: list[tuple[str, Directory]] = []
    for path in operands or ["."]:
        try:
            node, real = process.fs.resolve(path, process.cwd, follow="l" not in options or path.endswith("/"))
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
    if "l" not in options:
        names = [name for name, _ in entries]
        width = max(map(len, names), default=0) + 2
        several = max(1, COLUMNS // width) if process.tty and "1" not in options else 1
        rows = [names[i : i + several] for i in range(0, len(names), several)]
        return "".join("".join(name.ljust(width) for name in row).rstrip() + "\n" for row in rows)
    head = f"total {sum((size(n) + 4095) // 4096 * 4 for _, n in entries)}\n" if total else ""
    return head + "".join(_row(process, name, node, readable="h" in options) for name, node in entries)


def _row(process: Process, name: str, node: Node, *, readable: bool) -> str:
    user, count = process.machine.user, human(size(node)) if readable else size(node)
    when = datetime.fromtimestamp(node.mtime or process.machine.started, UTC).strftime("%b %e %H:%M")
    shown = f"{name} -> {node.target}" if isinstance(node, Link) else name
    links = 2 if isinstance(node, Directory) else 1
    return f"{mode(node)} {links:4} {user:8} {user:8} {count:>9} {when} {shown}\n"


@COMMANDS.plain("find")
def find(process: Process) -> int | None:
    arguments, starts = process.argv[1:], list[str]()
    while arguments and not arguments[0].startswith("-"):
        starts.append(arguments.pop(0))
    asked: dict[str, str] = {}
    while arguments:
        word = arguments.pop(0)
        if word in ("-name", "-iname", "-type", "-maxdepth", "-mindepth") and arguments:
            asked[word] = arguments.pop(0)
        elif word != "-print":
            return process.fail(f"unrecognized: {word}" if process.ash else f"unknown predicate `{word}'")
    for start in starts or ["."]:
        absolute = normalize(start, process.cwd)
        if process.fs.lookup(absolute, follow=False) is None:
            process.fail(f"{start}: No such file or directory")
        for path, node in process.fs.walk(absolute):
            depth = path.count("/") - absolute.rstrip("/").count("/")
            name, kind = path.rsplit("/", 1)[-1], mode(node)[0].replace("-", "f")
            if (
                int(asked.get("-mindepth", "0")) <= depth <= int(asked.get("-maxdepth", "99"))
                and fnmatch.fnmatchcase(name, asked.get("-name", "*"))
                and fnmatch.fnmatchcase(name.lower(), asked.get("-iname", "*").lower())
                and asked.get("-type", kind) == kind
            ):
                process.print(start + path[len(absolute) :] if absolute != "/" else path)
    return None


@COMMANDS("stat", "Lftc: format=c")
def stat(process: Process, options: Options, operands: list[str]) -> int | None:
    for path in operands:
        try:
            node, _ = process.fs.resolve(path, process.cwd, follow="L" in options)
        except FileError as error:
            return process.fail(f"can't stat '{path}': {error}" if process.ash else f"cannot statx '{path}': {error}")
        kind, bits = KINDS[mode(node)[0]], node.mode & 0o7777
        if "c" in options:
            facts = {"n": path, "s": size(node), "a": f"{bits:o}", "A": mode(node), "F": kind, "U": "root", "G": "root",
                     "u": 0, "g": 0, "Y": int(node.mtime or process.machine.started)}  # fmt: skip
            text = options["c"]
            for letter, value in facts.items():
                text = text.replace(f"%{letter}", str(value))
            process.print(text)
            continue
        process.print(
            f"  File: {path}\n  Size: {size(node)}\tBlocks: 8\tIO Block: 4096   {kind}",
            f"Access: ({bits:04o}/{mode(node)})  Uid: (    0/    root)   Gid: (    0/    root)",
        )
    return None


@COMMANDS("du", "shkacd:")
def du(process: Process, options: Options, operands: list[str]) -> None:
    for path in operands or ["."]:
        total = sum((size(node) + 1023) // 1024 for _, node in process.fs.walk(normalize(path, process.cwd)))
        process.print(f"{total}{'K' if 'h' in options else ''}\t{path}")
