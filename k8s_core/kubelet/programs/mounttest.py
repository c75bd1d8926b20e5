"""agnhost mounttest: makes files and says what a volume looks like from inside, in the words the e2e tests expect."""

import json

from k8s_core.shell.fs import Directory, File, FileError, Node
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

NEW_CONTENT = "mount-tester new file\n"
EXT4 = 0xEF53
"""statfs' f_type of what is no tmpfs."""
LOOP_SECONDS = 2.0


def mounttest(process: Process) -> Steps:
    """mounttest --fs_type=PATH --new_file_0644=PATH --file_content=PATH ...; always done in this order."""
    given = dict(word.lstrip("-").partition("=")[::2] for word in process.argv[2:])
    failed = False
    if path := given.get("fs_type"):
        failed |= not _fs_type(process, path)
    for mode in (0o644, 0o666, 0o660, 0o777):
        if path := given.get(f"new_file_{mode:04o}"):
            failed |= not _new_file(process, path, mode)
    for flag, show in (("file_mode", _mode), ("file_perm", _perm), ("file_owner", _owner)):
        if path := given.get(flag):
            node = process.fs.lookup(path)
            if node is None:
                process.out(f"error from Lstat({json.dumps(path)}): lstat {path}: no such file or directory\n")
                failed = True
            else:
                process.out(show(process, path, node))
    if path := given.get("file_content"):
        failed |= not _content(process, path)
    if path := given.get("file_content_in_loop"):
        expected = given.get("break_on_expected_content", "true") != "false"
        failed |= (yield from _loop(process, path, float(given.get("retry_time", "180")), expected)) != 0
    return int(failed)


def _problem(path: str, error: FileError) -> str:
    return f"open {path}: {str(error).lower()}"


def _fs_type(process: Process, path: str) -> bool:
    mounts = process.fs.mounts
    best = max((m for m in mounts if path == m or path.startswith(m.rstrip("/") + "/")), key=len, default="")
    node = mounts[best][0] if best else None
    if process.fs.lookup(path) is None:
        process.out(f"error from statfs({json.dumps(path)}): no such file or directory\n")
        return False
    kind = "tmpfs" if isinstance(node, Directory) and node.tmpfs else str(EXT4)
    process.out(f"mount type of {json.dumps(path)}: {kind}\n")
    return True


def _new_file(process: Process, path: str, mode: int) -> bool:
    try:
        file = process.fs.open_write(path)
        if isinstance(file, File):
            file.write(NEW_CONTENT.encode())
            file.mode = mode
    except FileError as error:
        process.out(f"error writing new file {json.dumps(path)}: {_problem(path, error)}\n")
        return False
    return _content(process, path)


def _content(process: Process, path: str) -> bool:
    try:
        text = process.fs.read(path).decode(errors="replace")
    except FileError as error:
        process.out(f"error reading file content for {json.dumps(path)}: {_problem(path, error)}\n")
        return False
    process.out(f"content of file {json.dumps(path)}: {text}\n")
    return True


def _bits(mode: int) -> str:
    return "".join(letter if mode >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))


def _mode(process: Process, path: str, node: Node) -> str:
    """Go's FileMode: letters for what it is, then the bits."""
    kind = "d" if isinstance(node, Directory) else ""
    kind += "t" if node.mode & 0o1000 else ""
    return f"mode of file {json.dumps(path)}: {kind or '-'}{_bits(node.mode)}\n"


def _perm(process: Process, path: str, node: Node) -> str:
    return f"perms of file {json.dumps(path)}: -{_bits(node.mode)}\n"


def _owner(process: Process, path: str, node: Node) -> str:
    name = json.dumps(path)
    return f"owner UID of {name}: {process.machine.uid}\nowner GID of {name}: {process.machine.gid}\n"


def _loop(process: Process, path: str, seconds: float, until_expected: bool) -> Steps:
    end, failed = process.machine.loop.now + seconds, 0
    while process.machine.loop.now < end:
        try:
            text = process.fs.read(path).decode(errors="replace")
        except FileError as error:
            process.out(f"Error reading file {path}: {_problem(path, error)}, retrying\n")
            failed = 1
        else:
            failed = 0
            process.out(f"content of file {json.dumps(path)}: {text}\n")
            if until_expected and text == NEW_CONTENT:
                return 0
            if until_expected:
                process.out(f"Unexpected content. Expected: {NEW_CONTENT}. Retrying")
        yield LOOP_SECONDS
    return failed
