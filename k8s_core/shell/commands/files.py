"""Commands on files: ls, cat, cp, mv, rm, mkdir, touch, ln, chmod, find, stat, du, df ..."""

from k8s_core.shell.commands.options import checked, parse
from k8s_core.shell.fs import Directory, File, FileError, Link, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process


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


COMMANDS: dict[str, Command] = {
    name: checked(command)
    for name, command in {
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
        "readlink": readlink,
        "realpath": readlink,
        "pwd": pwd,
        "basename": basename,
        "dirname": dirname,
        "mktemp": mktemp,
    }.items()
}
