"""Commands that look at files: ls, find, stat, du, df, mount."""

import fnmatch
from datetime import UTC, datetime

from k8s_core.shell.commands.options import UsageError, parse, table, usage
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, Node, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process


def size(node: Node) -> int:
    return len(node.read()) if isinstance(node, File) else 4096 if isinstance(node, Directory) else 0


def mode(node: Node) -> str:
    kind = (
        "d"
        if isinstance(node, Directory)
        else "l"
        if isinstance(node, Link)
        else ("c" if isinstance(node, Device) else "-")
    )
    bits = "".join(letter if node.mode >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))
    return kind + bits[:8] + ("t" if node.mode & 0o1000 else bits[8:])


def _when(process: Process, node: Node) -> str:
    return datetime.fromtimestamp(node.mtime or process.machine.started, UTC).strftime("%b %e %H:%M")


def ls(process: Process) -> Steps:
    try:
        options, operands = parse(process, "la1hAdRtrSFnis", long={"all": "a", "color": "C"}, valued="")
    except UsageError as error:
        return usage(process, error)
    status, blocks = 0, []
    for path in operands or ["."]:
        try:
            node, _ = process.fs.resolve(path, process.cwd, follow="l" not in options or path.endswith("/"))
        except FileError as error:
            status = process.fail(
                f"cannot access '{path}': {error}" if process.machine.shell != "ash" else f"{path}: {error}",
                2 if process.machine.shell != "ash" else 1,
            )
            continue
        if isinstance(node, Directory) and "d" not in options:
            folders = [(path, node)]
            if "R" in options:
                folders += [
                    (p, n)
                    for p, n in process.fs.walk(normalize(path, process.cwd))
                    if isinstance(n, Directory) and p != normalize(path, process.cwd)
                ]
            for name, folder in folders:
                entries = [
                    (n, folder.get(n))
                    for n in folder.names()
                    if "a" in options or "A" in options or not n.startswith(".")
                ]
                if "a" in options:
                    entries = [(".", folder), ("..", folder), *entries]
                heading = f"{name}:\n" if len(operands) > 1 or "R" in options else ""
                blocks.append(heading + _listing(process, [(n, e) for n, e in entries if e is not None], options))
        else:
            blocks.insert(0, _listing(process, [(path, node)], options, total=False))
    process.out("\n".join(blocks) if any(":\n" in b for b in blocks) else "".join(blocks))
    return status
    yield 0.0


def _listing(process: Process, entries: list[tuple[str, Node]], options: dict[str, str], *, total: bool = True) -> str:
    if "t" in options:
        entries = sorted(entries, key=lambda e: -e[1].mtime)
    if "S" in options:
        entries = sorted(entries, key=lambda e: -size(e[1]))
    if "r" in options:
        entries = entries[::-1]
    if "l" not in options:
        if process.tty and "1" not in options and entries:
            width = max(len(n) for n, _ in entries) + 2
            columns = max(1, 80 // width)
            names = [n for n, _ in entries]
            return "".join(
                "".join(n.ljust(width) for n in names[i : i + columns]).rstrip() + "\n"
                for i in range(0, len(names), columns)
            )
        return "".join(f"{n}\n" for n, _ in entries)
    rows = []
    for name, node in entries:
        shown = f"{name} -> {node.target}" if isinstance(node, Link) else name
        links = 2 if isinstance(node, Directory) else 1
        user = process.machine.user
        rows.append(f"{mode(node)} {links:4} {user:8} {user:8} {size(node):9} {_when(process, node)} {shown}\n")
    head = f"total {sum((size(n) + 4095) // 4096 * 4 for _, n in entries)}\n" if total else ""
    return head + "".join(rows)


def find(process: Process) -> Steps:
    arguments = process.argv[1:]
    starts = []
    while arguments and not arguments[0].startswith("-"):
        starts.append(arguments.pop(0))
    name = kind = ""
    depth = 99
    while arguments:
        word = arguments.pop(0)
        value = arguments.pop(0) if arguments and word in ("-name", "-type", "-maxdepth", "-iname") else ""
        if word in ("-name", "-iname"):
            name = value
        elif word == "-type":
            kind = value
        elif word == "-maxdepth" and value.isdigit():
            depth = int(value)
        elif word != "-print":
            return process.fail(f"unrecognized: {word}")
    status = 0
    for start in starts or ["."]:
        absolute = normalize(start, process.cwd)
        if process.fs.lookup(absolute) is None:
            status = process.fail(f"{start}: No such file or directory")
        for path, node in process.fs.walk(absolute):
            shown = start + path[len(absolute) :] if absolute != "/" else path
            if path.count("/") - absolute.rstrip("/").count("/") > depth:
                continue
            if name and not fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], name):
                continue
            if kind and kind != {"-": "f"}.get(mode(node)[0], mode(node)[0]):
                continue
            process.out(shown + "\n")
    return status
    yield 0.0


def stat(process: Process) -> Steps:
    _, operands = parse(process, "Lft", "c")
    for path in operands:
        try:
            node, _ = process.fs.resolve(path, process.cwd, follow=False)
        except FileError as error:
            return process.fail(f"can't stat '{path}': {error}")
        kind = {"d": "directory", "l": "symbolic link", "c": "character special file"}.get(
            mode(node)[0], "regular file"
        )
        process.out(
            f"  File: {path}\n  Size: {size(node)}\tBlocks: 8\tIO Block: 4096   {kind}\n"
            f"Access: ({node.mode & 0o7777:04o}/{mode(node)})  Uid: (    0/    root)   Gid: (    0/    root)\n"
        )
    return 0
    yield 0.0


def du(process: Process) -> Steps:
    options, operands = parse(process, "shkac", "d")
    for path in operands or ["."]:
        total = sum((size(node) + 1023) // 1024 for _, node in process.fs.walk(normalize(path, process.cwd)))
        process.out(f"{total}{'K' if 'h' in options else ''}\t{path}\n")
    return 0
    yield 0.0


def df(process: Process) -> Steps:
    process.out(
        "Filesystem           1K-blocks      Used Available Use% Mounted on\n"
        "overlay               20145724   4123456  16005884  20% /\n"
        "tmpfs                    65536         0     65536   0% /dev\n"
    )
    for path in sorted(process.fs.mounts):
        if path not in ("/", "/dev", "/proc"):
            process.out(f"/dev/vda1             20145724   4123456  16005884  20% {path}\n")
    return 0
    yield 0.0


def mount(process: Process) -> Steps:
    process.out(
        "overlay on / type overlay (rw,relatime)\nproc on /proc type proc (rw,nosuid,nodev,noexec,relatime)\n"
        "tmpfs on /dev type tmpfs (rw,nosuid,size=65536k,mode=755)\n"
    )
    for path, (_, read_only) in sorted(process.fs.mounts.items()):
        if path not in ("/", "/dev", "/proc"):
            process.out(f"/dev/vda1 on {path} type ext4 ({'ro' if read_only else 'rw'},relatime)\n")
    return 0
    yield 0.0


COMMANDS: dict[str, Command] = table(ls=ls, find=find, stat=stat, du=du, df=df, mount=mount)
