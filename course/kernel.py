"""What the course changes in a notebook's kernel: `%%node`, how `!command` runs, and how mistakes are shown.

IPython runs `!command` on a pseudo terminal and now and then loses the last lines of a quick command; here it runs on a
pipe. A learner's own error keeps its traceback, without the lines that are ours; a mistake in how a lab is used ends
in one sentence. What was hidden stands in .course/errors.log.
"""

import re
import signal
import subprocess
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from course import environment

OURS = tuple(str(Path(__file__).parent.parent / name) + "/" for name in ("course", "k8s_core"))
LIBRARIES = tuple(sysconfig.get_path(name) + "/" for name in ("stdlib", "purelib", "platlib"))
COMMANDS = ("kubectl", "crictl", "etcdctl", "curl", "systemctl")
"""What is typed with a ! before it, and now and then without."""

NOT_FOUND = 127
ON_NODES = re.compile(r"\b(crictl|ctr|nerdctl|docker|kubeadm|etcdctl|systemctl|journalctl|iptables|ipvsadm)\b")
"""What a learner may look for on this machine, and only the nodes have."""


class LabError(Exception):
    """A mistake in how a lab is used. Notebooks show its sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def install(typed: Callable[[str, str], str]) -> None:
    """Prepare the kernel that this is called in; elsewhere (a script, a test) do nothing.

    `typed(node, command)` types into a node's shell: what `%%node cp` does with its cell, `%node cp ls` with a line.
    """
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython  # noqa: PLC0415  # only inside a notebook

    shell = get_ipython()
    if shell is not None:
        shell.register_magic_function(lambda line, cell=None: _node(typed, line, cell), "line_cell", "node")
        shell.set_custom_exc((Exception, KeyboardInterrupt), _show)
        shell.system = lambda command: _system(shell, command)


def _node(typed: Callable[[str, str], str], line: str, cell: str | None) -> None:
    name, _, command = line.strip().partition(" ")
    if not name or not (command or cell):
        raise LabError("Write %%node cp in the first line of a cell, and below it what to type on the node.")
    print(typed(name, cell if cell is not None else command), end="")


def _system(shell: Any, command: str) -> None:
    """`!command`: what it prints appears as it comes; `_exit_code` has its exit code."""
    words = ["bash", "-c", shell.var_expand(command, depth=2)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                print(line.decode(errors="replace"), end="", flush=True)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
    shell.user_ns["_exit_code"] = process.returncode
    if hint := _elsewhere(process.returncode, command):
        print(hint.strip())


def _elsewhere(code: int, typed: str | bytes) -> str:
    """Where a command is that this machine has not."""
    words = typed.decode() if isinstance(typed, bytes) else typed
    found = ON_NODES.search(words) if code == NOT_FOUND else None
    return f" {found[0]} is on the nodes: begin the cell with %%node and a node's name, as %%node cp." if found else ""


def _show(shell: Any, kind: type, error: Any, tb: TracebackType | None, tb_offset: int | None = None) -> list[str]:
    """Show an error as the learner's own. A failed `%%bash` cell has already said what went wrong."""
    if isinstance(error, subprocess.CalledProcessError):
        if error.returncode is None:  # IPython's own, when it was interrupted
            error.returncode = -signal.SIGINT
        ended = f"ended with exit code {error.returncode}" if error.returncode >= 0 else "was interrupted"
        return _say(shell, error, f"The last command {ended}.{_elsewhere(error.returncode, error.cmd)}")
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        if line.split(" ")[0] in COMMANDS:
            return _say(shell, error, f"This is a command, not Python. Write a ! before it: !{line}")
        shell.showtraceback((kind, error, tb), tb_offset)
        return list(shell._last_traceback or [])
    whole = traceback.format_exception(kind, error, tb)
    shell.showtraceback((kind, error, without_ours(error, tb)), tb_offset, running_compiled_code=True)
    if any(f'"{place}' in line for line in whole for place in OURS) and not isinstance(error, LabError):
        keep("".join(whole))
    return list(shell._last_traceback or [])


def _say(shell: Any, error: BaseException, line: str) -> list[str]:
    shell._showtraceback(type(error), error, [line])
    return [line]


def without_ours(error: BaseException, tb: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames that are ours, and without what ours called; so are the errors before it."""
    frames, hiding = [], False
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        hiding = file.startswith(OURS) or (hiding and file.startswith(LIBRARIES))
        if not hiding:
            frames.append(tb)
        tb = tb.tb_next
    kept: TracebackType | None = None
    for each in reversed(frames):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        before.__traceback__ = without_ours(before, before.__traceback__)
        if before.__traceback__ is None:
            error.__cause__ = error.__context__ = None
    return kept


def keep(text: str) -> None:
    """For whoever repairs the course."""
    environment.home().mkdir(parents=True, exist_ok=True)
    with (environment.home() / "errors.log").open("a") as log:
        log.write(text + "\n")
