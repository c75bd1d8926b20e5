"""Commands on files: ls, cat, cp, mv, rm, mkdir, touch, ln, chmod, find, stat, du, df ..."""

import fnmatch
from datetime import UTC, datetime

from k8s_core.shell.commands.options import UsageError, parse, usage
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, Node, normalize
from k8s_core.shell.process import Command, Process, Steps


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


def _listing(
    process: Process, entries: list[tuple[str, Node]], options: dict[str, str], *, total: bool = True
) -> str:
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


def cat(process: Process) -> Steps:
    options, operands = parse(process, "nuAvetbs")
    status, number = 0, 0
    for path in operands or ["-"]:
        try:
            source = process.stdin if path == "-" else process.open_input(path)
        except FileError as error:
            not_there = f"can't open '{path}': {error}" if process.machine.shell == "ash" else f"{path}: {error}"
            status = process.fail(
                "read error: Is a directory"
                if process.machine.shell == "ash" and "directory" in str(error) and str(error).startswith("Is")
                else not_there
            )
            continue
        if path.startswith("/dev/zero"):
            process.out(bytes(1 << 16))
        while data := (yield from (source.read_line() if "n" in options else source.read())):
            number += 1
            process.out((f"{number:6}\t".encode() if "n" in options else b"") + data)
    return status


def tee(process: Process) -> Steps:
    options, operands = parse(process, "ai")
    files = []
    status = 0
    for path in operands:
        try:
            files.append(process.open_output(path, append="a" in options))
        except FileError as error:
            status = process.fail(f"{path}: {error}")
    while data := (yield from process.stdin.read()):
        process.out(data)
        for file in files:
            file.write(data)
    return status


def cp(process: Process) -> Steps:
    options, operands = parse(process, "rRafvpPdLuT", long={"recursive": "r"})
    if len(operands) < 2:
        return process.fail("missing file operand")
    *sources, target = operands
    into = isinstance(process.fs.lookup(target, process.cwd), Directory)
    if len(sources) > 1 and not into:
        return process.fail(f"target '{target}' is not a directory")
    status = 0
    for source in sources:
        try:
            node, _ = process.fs.resolve(source, process.cwd)
            name = normalize(source, process.cwd).rsplit("/", 1)[-1]
            place = f"{target}/{name}" if into else target
            if isinstance(node, Directory) and not set(options) & set("rRa"):
                status = process.fail(f"omitting directory '{source}'")
            elif isinstance(node, Directory):
                _copy_tree(process, node, place, bool(source.rstrip("/").endswith(".") and into), target)
            else:
                process.fs.open_write(place, process.cwd)
                process.fs.write(place, node.read() if isinstance(node, File) else b"", process.cwd)
        except FileError as error:
            status = process.fail(f"can't stat '{source}': {error}")
    return status
    yield 0.0


def _copy_tree(process: Process, folder: Directory, place: str, contents: bool, target: str) -> None:
    place = target if contents else place
    process.fs.make_directories(place, process.cwd)
    for name in folder.names():
        child = folder.get(name)
        if isinstance(child, Directory):
            _copy_tree(process, child, f"{place}/{name}", False, target)
        elif isinstance(child, File):
            process.fs.open_write(f"{place}/{name}", process.cwd)
            process.fs.write(f"{place}/{name}", child.read(), process.cwd)
        elif child is not None:
            process.fs.place(f"{place}/{name}", child, process.cwd)


def mv(process: Process) -> Steps:
    _, operands = parse(process, "fnvi")
    if len(operands) < 2:
        return process.fail("missing file operand")
    *sources, target = operands
    into = isinstance(process.fs.lookup(target, process.cwd), Directory)
    status = 0
    for source in sources:
        try:
            folder, name = process.fs.parent(source, process.cwd)
            node = folder.get(name)
            if node is None:
                raise FileError("No such file or directory")
            place = f"{target}/{name}" if into else target
            if normalize(place, process.cwd).startswith(normalize(source, process.cwd) + "/"):
                raise FileError("Invalid argument")
            process.fs.place(
                place, node if not isinstance(node, File) else File(node.read(), mode=node.mode), process.cwd
            )
            if normalize(place, process.cwd) != normalize(source, process.cwd):
                process.fs.remove(source, process.cwd, recursive=True)
        except FileError as error:
            status = process.fail(f"can't rename '{source}': {error}")
    return status
    yield 0.0


def rm(process: Process) -> Steps:
    options, operands = parse(process, "rRfiv")
    if not operands and "f" not in options:
        return process.fail("missing operand")
    status = 0
    for path in operands:
        try:
            node, _ = process.fs.resolve(path, process.cwd, follow=False)
            if isinstance(node, Directory) and not set(options) & set("rR"):
                status = process.fail(f"'{path}' is a directory")
            else:
                process.fs.remove(path, process.cwd, recursive=True)
        except FileError as error:
            if "f" not in options or "No such" not in str(error):
                status = process.fail(f"can't remove '{path}': {error}")
    return status
    yield 0.0


def rmdir(process: Process) -> Steps:
    status = 0
    for path in parse(process, "p")[1]:
        try:
            process.fs.remove(path, process.cwd)
        except FileError as error:
            status = process.fail(f"'{path}': {error}")
    return status
    yield 0.0


def mkdir(process: Process) -> Steps:
    options, operands = parse(process, "pv", "m")
    status = 0
    for path in operands:
        try:
            (process.fs.make_directories if "p" in options else process.fs.make_directory)(path, process.cwd)
        except FileError as error:
            status = process.fail(f"can't create directory '{path}': {error}")
    return status
    yield 0.0


def touch(process: Process) -> Steps:
    options, operands = parse(process, "camh", "dtr")
    status = 0
    for path in operands:
        try:
            if process.fs.lookup(path, process.cwd) is None and "c" in options:
                continue
            node = process.fs.lookup(path, process.cwd)
            if isinstance(node, Directory):
                node.mtime = process.machine.loop.now
            else:
                process.fs.open_write(path, process.cwd, truncate=False)
        except FileError as error:
            status = process.fail(f"{path}: {error}")
    return status
    yield 0.0


def ln(process: Process) -> Steps:
    options, operands = parse(process, "sfnv")
    if len(operands) == 1:
        operands.append(operands[0].rstrip("/").rsplit("/", 1)[-1])
    if len(operands) != 2:
        return process.fail("missing file operand")
    target, path = operands
    try:
        if isinstance(process.fs.lookup(path, process.cwd), Directory) and "n" not in options:
            path = f"{path}/{target.rsplit('/', 1)[-1]}"
        if process.fs.lookup(path, process.cwd, follow=False) is not None and "f" not in options:
            return process.fail(f"{path}: File exists")
        process.fs.place(
            path, Link(target) if "s" in options else process.fs.resolve(target, process.cwd)[0], process.cwd
        )
    except FileError as error:
        return process.fail(f"{path}: {error}")
    return 0
    yield 0.0


def chmod(process: Process) -> Steps:
    operands = [a for a in process.argv[1:] if a not in ("-R", "-f", "-v")]
    if len(operands) < 2:
        return process.fail("missing operand")
    wanted, *paths = operands
    status = 0
    for path in paths:
        try:
            node, _ = process.fs.resolve(path, process.cwd)
        except FileError as error:
            status = process.fail(f"{path}: {error}")
            continue
        if wanted.isdigit():
            node.mode = int(wanted, 8) if not set(wanted) & set("89") else node.mode
        else:
            for clause in wanted.split(","):
                op = next((o for o in "+-=" if o in clause), "")
                if not op:
                    return process.fail(f"invalid mode '{wanted}'")
                who, _, what = clause.partition(op)
                bits = sum({"r": 4, "w": 2, "x": 1}.get(letter, 0) for letter in set(what))
                shifts = [6, 3, 0] if not who or "a" in who else [{"u": 6, "g": 3, "o": 0}.get(w, 0) for w in who]
                mask = sum(bits << shift for shift in shifts)
                node.mode = node.mode | mask if op in "+=" else node.mode & ~mask
    return status
    yield 0.0


def chown(process: Process) -> Steps:
    operands = [a for a in process.argv[1:] if not a.startswith("-")]
    for path in operands[1:]:
        if process.fs.lookup(path, process.cwd) is None:
            return process.fail(f"{path}: No such file or directory")
    return 0
    yield 0.0


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


def readlink(process: Process) -> Steps:
    options, operands = parse(process, "fn")
    for path in operands:
        node = process.fs.lookup(path, process.cwd, follow=False)
        if "f" in options or process.argv[0].endswith("realpath"):
            try:
                process.out(process.fs.resolve(path, process.cwd)[1] + "\n")
            except FileError:
                return 1
        elif isinstance(node, Link):
            process.out(node.target + "\n")
        else:
            return 1
    return 0
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


def pwd(process: Process) -> Steps:
    process.out(process.cwd + "\n")
    return 0
    yield 0.0


def basename(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand")
    base = process.argv[1].rstrip("/").rsplit("/", 1)[-1] or "/"
    process.out((base.removesuffix(process.argv[2]) if len(process.argv) > 2 else base) + "\n")
    return 0
    yield 0.0


def dirname(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand")
    folder, slash, _ = process.argv[1].rstrip("/").rpartition("/")
    process.out((folder or ("/" if slash else ".")) + "\n")
    return 0
    yield 0.0


def mktemp(process: Process) -> Steps:
    path = f"/tmp/tmp.{process.machine.loop.suffix(6)}"
    process.fs.make_directories("/tmp")
    if "-d" in process.argv:
        process.fs.make_directory(path)
    else:
        process.fs.open_write(path)
    process.out(path + "\n")
    return 0
    yield 0.0


def _checked(command: Command) -> Command:
    def run(process: Process) -> Steps:
        try:
            return (yield from command(process))
        except UsageError as error:
            return usage(process, error)

    return run


COMMANDS: dict[str, Command] = {
    name: _checked(command)
    for name, command in {
        "ls": ls,
        "cat": cat,
        "tee": tee,
        "cp": cp,
        "mv": mv,
        "rm": rm,
        "rmdir": rmdir,
        "mkdir": mkdir,
        "touch": touch,
        "ln": ln,
        "chmod": chmod,
        "chown": chown,
        "find": find,
        "readlink": readlink,
        "realpath": readlink,
        "stat": stat,
        "du": du,
        "df": df,
        "mount": mount,
        "pwd": pwd,
        "basename": basename,
        "dirname": dirname,
        "mktemp": mktemp,
    }.items()
}
