"""What notebooks import: the lab, checks, widgets, progress, grading, the command line.

    from course import start
    lab = start("09-pods")

gives a cluster to the notebook that asks; `!kubectl`, `%%bash` and JupyterLab's terminals then reach it.
Knows the engine (k8s_core); the engine does not know of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course.homepage import home
    from course.lab import Lab, start

__all__ = ["Lab", "home", "start"]


def __getattr__(name: str) -> Any:
    """Load on first use: `python -m course` and the checks need neither the engine nor the widgets."""
    if name in ("Lab", "start"):
        from course import lab  # noqa: PLC0415

        return getattr(lab, name)
    if name == "home":
        from course.homepage import home  # noqa: PLC0415

        return home
    raise AttributeError(name)
