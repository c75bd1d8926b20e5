"""What a learner sees when something they did cannot work: one sentence, not a traceback of ours."""

import subprocess
import sys
from typing import Any


class LabError(Exception):
    """A mistake in how a lab is used. Notebooks show its sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def install() -> None:
    """Let a failed `%%bash` cell end in one line; its output already says what went wrong."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython  # noqa: PLC0415  # only inside a notebook

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((subprocess.CalledProcessError,), _show)


def _show(shell: Any, kind: type, error: Any, traceback: Any, tb_offset: Any = None) -> list[str]:
    line = f"The last command ended with exit code {error.returncode}."
    shell._showtraceback(kind, error, [line])
    return [line]
