"""What the course changes in a notebook's kernel: `%%node`, how `!command` runs, and how mistakes are shown.

IPython runs `!command` on a pseudo terminal and now and then loses the last lines of a quick command; here it runs on a
pipe. A mistake ends in one sentence, not in a traceback of ours.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any


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
        shell.set_custom_exc((subprocess.CalledProcessError,), _show_failed)
        shell.register_magic_function(lambda line, cell=None: _node(typed, line, cell), "line_cell", "node")
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


def _show_failed(shell: Any, kind: type, error: Any, traceback: Any, tb_offset: Any = None) -> list[str]:
    """A failed `%%bash` cell has already said what went wrong."""
    line = f"The last command ended with exit code {error.returncode}."
    shell._showtraceback(kind, error, [line])
    return [line]
