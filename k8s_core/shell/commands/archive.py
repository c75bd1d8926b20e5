"""tar, as far as `kubectl cp` and lessons need it: c, x and t, on a file or a pipe, packed by gzip or not."""

import io
import tarfile

from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import Directory, File, FileError, Link, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

COMMANDS = Table()


@COMMANDS.plain("tar")
def tar(process: Process) -> Steps:
    arguments = process.argv[1:]
    action, archive, folder, names = "", "-", process.cwd, []
    packed = told = False
    if arguments and not arguments[0].startswith("-"):
        arguments[0] = "-" + arguments[0]
    while arguments:
        word = arguments.pop(0)
        if word.startswith("-") and word != "-" and not word.startswith("--"):
            for letter in word[1:]:
                if letter in "cxt":
                    action = letter
                elif letter == "f" and arguments:
                    archive = arguments.pop(0)
                elif letter == "C" and arguments:
                    folder = normalize(arguments.pop(0), process.cwd)
                elif letter in "zj":
                    packed = True
                elif letter == "v":
                    told = True
        elif not word.startswith("--"):
            names.append(word)
    if action == "c":
        return _create(process, archive, folder, names, packed=packed, told=told)
    if action not in ("x", "t"):
        return process.fail("You must specify one of the '-ctx' options", 2)
    data = (yield from process.stdin.read_all()) if archive == "-" else process.read(archive)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as source:
            for member in source:
                if names and not any(member.name == n or member.name.startswith(f"{n.rstrip('/')}/") for n in names):
                    continue
                if action == "t" or told:
                    process.print(member.name + "/" * (member.isdir() and not process.ash))
                if action == "x":
                    _extract(process, source, member, folder)
    except tarfile.TarError as error:
        return process.fail(f"invalid tar magic or checksum: {error}")
    return process.status


def _create(
    process: Process, archive: str, folder: str, names: list[str], *, packed: bool = False, told: bool = False
) -> int:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if packed else "w") as target:
        for name in names:
            start = normalize(name, folder)
            if process.fs.lookup(start, follow=False) is None:
                process.fail(f"{name}: No such file or directory", 2)
            for path, node in process.fs.walk(start):
                if told:
                    process.err(f"{name + path[len(start) :]}\n")
                info = tarfile.TarInfo((name + path[len(start) :]).lstrip("/"))
                info.mode, info.mtime = node.mode & 0o777, int(node.mtime or process.machine.started)
                data = b""
                if isinstance(node, Directory):
                    info.type = tarfile.DIRTYPE
                elif isinstance(node, Link):
                    info.type, info.linkname = tarfile.SYMTYPE, node.target
                elif isinstance(node, File):
                    data = node.read()
                else:
                    continue
                info.size = len(data)
                target.addfile(info, io.BytesIO(data))
    output = process.stdout if archive == "-" else process.open_output(archive)
    output.write(buffer.getvalue())
    return process.status


def _extract(process: Process, source: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> None:
    path = normalize(member.name.lstrip("/"), folder)
    if path != folder and not path.startswith(folder.rstrip("/") + "/"):
        raise FileError(f"{member.name}: name contains '..'")
    if member.isdir():
        process.fs.make_directories(path)
    elif member.issym():
        process.fs.place(path, Link(member.linkname))
    elif member.isfile():
        process.fs.make_directories(path.rpartition("/")[0] or "/")
        content = source.extractfile(member)
        process.fs.open_write(path)
        process.fs.write(path, content.read() if content else b"")
