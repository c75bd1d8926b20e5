"""Commands on files: cat, cp, mv, rm, mkdir, touch, ln, chmod ..."""

import re
from collections.abc import Callable

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import Directory, FileError, Link, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

COMMANDS = Table()
GNU = {
    "cp": "cannot stat '{}'", "mv": "cannot stat '{}'", "rm": "cannot remove '{}'", "rmdir": "failed to remove '{}'",
    "mkdir": "cannot create directory \u2018{}\u2019", "touch": "cannot touch '{}'", "chmod": "cannot access '{}'",
    "chown": "cannot access '{}'", "chgrp": "cannot access '{}'", "ln": "failed to access '{}'",
}  # fmt: skip
BUSYBOX = {
    "cp": "can't stat '{}'", "mv": "can't rename '{}'", "rm": "can't remove '{}'", "rmdir": "'{}'",
    "mkdir": "can't create directory '{}'",
}  # fmt: skip
"""What each program says before the reason why it cannot."""


def each(process: Process, paths: list[str], act: Callable[[str], object]) -> None:
    """Do something with every path; who cannot says so and goes on."""
    for path in paths:
        try:
            act(path)
        except FileError as error:
            what = (BUSYBOX if process.ash else GNU).get(process.name, "{}").format(path)
            if "UTF-8" not in process.env.get("LANG", ""):
                what = re.sub("[\u2018\u2019]", "'", what)
            process.fail(f"{what}: {error}")


@COMMANDS("cat", "nuAvetTEbs show-all=A number=n")
def cat(process: Process, options: Options, operands: list[str]) -> Steps:
    number = 0
    for path in operands or ["-"]:
        try:
            source = process.stdin if path == "-" else process.open_input(path)
        except FileError as error:
            folder = "read error: Is a directory" if "Is a" in str(error) else f"can't open '{path}': {error}"
            process.fail(folder if process.ash else f"{path}: {error}")
            continue
        if path.startswith("/dev/zero"):
            process.out(bytes(1 << 16))
        lines = bool(set(options) & set("nbAeEtT"))
        while data := (yield from (source.read_line() if lines else source.read())):
            counts = "n" in options or ("b" in options and data != b"\n")
            number += counts
            data = data.replace(b"\t", b"^I") if set(options) & set("AtT") else data
            data = data.replace(b"\r", b"^M").replace(b"\n", b"$\n") if set(options) & set("AeE") else data
            process.out((f"{number:6}\t".encode() if counts else b"") + data)
    return process.status


@COMMANDS("tee", "ai")
def tee(process: Process, options: Options, operands: list[str]) -> Steps:
    outputs = [process.stdout]
    each(process, operands, lambda path: outputs.append(process.open_output(path, append="a" in options)))
    while data := (yield from process.stdin.read()):
        for output in outputs:
            output.write(data)
    return process.status


def _sources(process: Process, operands: list[str]) -> tuple[list[str], Callable[[str], str]]:
    """What cp and mv are given: the sources, and where each of them goes."""
    if len(operands) < 2:
        raise FileError("missing file operand")
    *sources, target = operands
    into = isinstance(process.lookup(target), Directory)
    if len(sources) > 1 and not into:
        raise FileError(f"target '{target}' is not a directory")
    folder = target.rstrip("/")
    return sources, lambda path: f"{folder}/{normalize(path, process.cwd).rsplit('/', 1)[-1]}" if into else target


@COMMANDS("cp", "rRafvpPdLuTin recursive=r archive=a force=f interactive=i verbose=v preserve=p parents=_")
def cp(process: Process, options: Options, operands: list[str]) -> None:
    sources, place = _sources(process, operands)

    def copy(source: str) -> None:
        node, _ = process.fs.resolve(source, process.cwd)
        target = operands[-1] if source.endswith("/.") else place(source)
        if isinstance(node, Directory) and not set(options) & set("rRa"):
            process.fail(
                f"omitting directory '{source}'" if process.ash else f"-r not specified; omitting directory '{source}'"
            )
        elif "n" not in options or process.lookup(target) is None:
            process.fs.copy(node, target, process.cwd)
            if "v" in options:
                process.print(f"'{source}' -> '{target}'")

    each(process, sources, copy)


@COMMANDS("mv", "fnvi")
def mv(process: Process, options: Options, operands: list[str]) -> None:
    sources, place = _sources(process, operands)

    def move(source: str) -> None:
        process.fs.move(normalize(source, process.cwd), normalize(place(source), process.cwd))
        if "v" in options:
            process.print(f"{'' if process.ash else 'renamed '}'{source}' -> '{place(source)}'")

    each(process, sources, move)


@COMMANDS("rm", "rRfiv recursive=r force=f")
def rm(process: Process, options: Options, operands: list[str]) -> int | None:
    if not operands and "f" not in options:
        return process.fail("missing operand")

    def remove(path: str) -> None:
        node = process.lookup(path, follow=False)
        if isinstance(node, Directory) and not set(options) & set("rR"):
            process.fail(f"'{path}' is a directory" if process.ash else f"cannot remove '{path}': Is a directory")
        elif node is not None or "f" not in options:
            process.fs.remove(path, process.cwd, recursive=True)
            if "v" in options:
                process.print(f"removed '{path}'")

    each(process, operands, remove)
    return None


@COMMANDS("rmdir", "p")
def rmdir(process: Process, options: Options, operands: list[str]) -> None:
    each(process, operands, lambda path: process.fs.remove(path, process.cwd))


@COMMANDS("mkdir", "pvm: parents=p")
def mkdir(process: Process, options: Options, operands: list[str]) -> None:
    make = process.fs.make_directories if "p" in options else process.fs.make_directory

    def run(path: str) -> None:
        made = make(path, process.cwd)
        if "m" in options:
            made.mode = int(options["m"], 8)

    each(process, operands, run)


@COMMANDS("touch", "camhd:t:r:")
def touch(process: Process, options: Options, operands: list[str]) -> None:
    def run(path: str) -> None:
        node = process.lookup(path)
        if isinstance(node, Directory):
            node.mtime = process.machine.loop.now
        elif node is not None or "c" not in options:
            process.fs.open_write(path, process.cwd, truncate=False)

    each(process, operands, run)


@COMMANDS("ln", "sfnv")
def ln(process: Process, options: Options, operands: list[str]) -> int | None:
    if len(operands) == 1:
        operands.append(operands[0].rstrip("/").rsplit("/", 1)[-1])
    if len(operands) != 2:
        return process.fail("missing file operand")
    target, path = operands
    if isinstance(process.lookup(path), Directory) and "n" not in options:
        path = f"{path}/{target.rsplit('/', 1)[-1]}"

    def link(path: str) -> None:
        if process.lookup(path, follow=False) is not None and "f" not in options:
            raise FileError("File exists")
        node = Link(target) if "s" in options else process.fs.resolve(target, process.cwd)[0]
        process.fs.place(path, node, process.cwd)

    each(process, [path], link)
    return None


def _mode(wanted: str, before: int) -> int:
    """A mode as chmod is told it: 644, u+x, go-rwx, a=r."""
    if wanted.isdigit():
        return int(wanted, 8)
    for clause in wanted.split(","):
        op = next((o for o in "+-=" if o in clause), "")
        if not op:
            raise ValueError(wanted)
        who, _, what = clause.partition(op)
        bits = sum({"r": 4, "w": 2, "x": 1}.get(letter, 0) for letter in set(what))
        users = {shift for letter, shift in (("u", 6), ("g", 3), ("o", 0)) if letter in who or not who or "a" in who}
        mask, whole = sum(bits << shift for shift in users), sum(7 << shift for shift in users)
        before = before & ~mask if op == "-" else (before & ~whole if op == "=" else before) | mask
    return before


@COMMANDS.plain("chmod")
def chmod(process: Process) -> int | None:
    wanted, *paths = [word for word in process.argv[1:] if word not in ("-R", "-f", "-v")] or [""]
    if not paths:
        return process.fail("missing operand")
    try:
        _mode(wanted, 0)
    except ValueError:
        return process.fail(f"invalid mode '{wanted}'" if process.ash else f"invalid mode: '{wanted}'")

    def change(path: str) -> None:
        node, real = process.fs.resolve(path, process.cwd)
        for _, each_node in process.fs.walk(real) if "-R" in process.argv else [(real, node)]:
            each_node.mode = _mode(wanted, each_node.mode)

    each(process, paths, change)
    return None


@COMMANDS.plain("chown chgrp")
def chown(process: Process) -> None:
    paths = [word for word in process.argv[1:] if not word.startswith("-")][1:]
    each(process, paths, lambda path: process.fs.resolve(path, process.cwd))


@COMMANDS("readlink realpath", "fnem canonicalize=f")
def readlink(process: Process, options: Options, operands: list[str]) -> int | None:
    if process.name == "realpath":
        each(process, operands, lambda path: process.print(process.fs.resolve(path, process.cwd)[1]))
        return None
    for path in operands:
        node = process.lookup(path, follow=False)
        if set(options) & set("fem"):
            process.print(process.fs.resolve(path, process.cwd)[1])
        elif isinstance(node, Link):
            process.print(node.target)
        else:
            return 1
    return None


@COMMANDS.plain("pwd")
def pwd(process: Process) -> None:
    process.print(process.cwd)


@COMMANDS.plain("basename dirname")
def basename(process: Process) -> int | None:
    if len(process.argv) < 2:
        return process.fail("missing operand")
    folder, slash, base = (process.argv[1].rstrip("/") or "/").rpartition("/")
    suffix = process.argv[2] if len(process.argv) > 2 else ""
    process.print(folder or slash or "." if process.name == "dirname" else base.removesuffix(suffix) or slash)
    return None


@COMMANDS("mktemp", "dqp:")
def mktemp(process: Process, options: Options, operands: list[str]) -> None:
    path = f"/tmp/tmp.{process.machine.loop.suffix(6)}"
    process.fs.make_directories("/tmp")
    (process.fs.make_directory if "d" in options else process.fs.open_write)(path)
    process.print(path)


PAGERS = dict.fromkeys(("less", "more"), COMMANDS["cat"])
