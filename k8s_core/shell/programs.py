"""What is not part of the shell: programs it starts, and the files that input and output are redirected to."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from k8s_core.shell import expand
from k8s_core.shell.fs import Directory, File, FileError
from k8s_core.shell.parser import BOTH
from k8s_core.shell.pipes import Discard, Output, Pipe, Steps, Wait
from k8s_core.shell.process import Command
from k8s_core.shell.syntax import Redirect

if TYPE_CHECKING:
    from k8s_core.shell.interpreter import Shell

REASONS = {"<": ("can't open", "no such file"), ">": ("can't create", "nonexistent directory")}
"""What ash and dash say of a file that is not there."""
STANDARD = {"/dev/stdout": 1, "/dev/fd/1": 1, "/proc/self/fd/1": 1, "/dev/stderr": 2, "/dev/fd/2": 2,
            "/proc/self/fd/2": 2}  # fmt: skip


def execute(shell: "Shell", words: list[str], environment: dict[str, str], *, replacing: bool = False) -> Steps:
    """Run a program; `replacing`: it takes the shell's place, if nothing is left for the shell to do."""
    process = shell.process
    command = process.machine.find(words[0])
    if command is None:
        code, command = _script(shell, words[0])
        if command is None:
            return code
        words = ["sh", *words]
    stdin, stdout, stderr = shell.stdin, shell.fds[1], shell.fds[2]
    if replacing and not shell.traps and not shell.children:
        process.argv, process.env = words, environment
        process.stdin, process.stdout, process.stderr = stdin, stdout, stderr
        return (yield from command(process))
    return (yield from process.run(words, env=environment, stdin=stdin, stdout=stdout, stderr=stderr))


def _script(shell: "Shell", name: str) -> tuple[int, Command | None]:
    """What a word stands for that is no program: a script that sh runs, or nothing and an exit code."""
    bash = shell.flavour == "bash"
    code, why = 127, "command not found" if bash else "not found"
    if "/" in name:
        node = shell.process.lookup(name)
        why = "No such file or directory" if bash else "not found"
        if isinstance(node, Directory):
            code, why = 126, "Is a directory" if bash else "Permission denied"
        elif isinstance(node, File) and not node.mode & 0o111:
            code, why = 126, "Permission denied"
        elif isinstance(node, File) and node.read()[:4] != b"\x7fELF":
            return 127, shell.process.machine.find("sh")
    shell.complain(f"{name}: {why}")
    return code, None


def redirect(shell: "Shell", wanted: Redirect) -> Generator[Wait, None, None]:
    """Open what a redirect names; raises FileError."""
    target = yield from expand.text(shell, wanted.target)
    opened: Output
    if wanted.op == "<<":
        opened = Pipe(target.encode(), closed=True)
    elif wanted.op in ("<&", ">&"):
        if target != "-" and not (target.isdigit() and int(target) in shell.fds):
            raise FileError(f"{target}: bad file descriptor")
        opened = Discard() if target == "-" else shell.fds[int(target)]
    else:
        try:
            opened = _open(shell, wanted.op, target)
        except FileError as error:
            if shell.flavour == "bash":
                raise FileError(f"{target}: {error}") from None
            what, missing = REASONS[wanted.op[0]]
            reason = missing if str(error) == "No such file or directory" else str(error)
            raise FileError(f"{what} {target}: {reason}") from None
    shell.fds = shell.fds | dict.fromkeys((1, 2) if wanted.fd == BOTH else (wanted.fd,), opened)


def _open(shell: "Shell", op: str, path: str) -> Output:
    if op in ("<", "<>"):
        return shell.process.open_input(path)
    if path in STANDARD:
        return shell.fds[STANDARD[path]]
    return Discard() if path == "/dev/null" else shell.process.open_output(path, append=op == ">>")
