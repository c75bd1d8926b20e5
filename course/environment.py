"""Where the course keeps its things, and the environment its processes run in.

Everything that a lesson, JupyterLab, nbgrader or kubectl would write into the home folder goes into `.course/` in the
project instead, so that the course leaves nothing behind and takes nothing from the user's own set-up.
"""

import os
import pwd
import sys
from pathlib import Path

ROOT = Path(os.environ.get("COURSE_ROOT") or Path(__file__).parent.parent).resolve()
"""The project: notebooks/ and exercises/ stand here. COURSE_ROOT may name a copy to work in."""

NOTEBOOKS = ROOT / "notebooks"
EXERCISES = ROOT / "exercises"


def home() -> Path:
    """The course's own folder, `.course/` unless COURSE_HOME says otherwise."""
    return Path(os.environ.get("COURSE_HOME") or ROOT / ".course").resolve()


def kubeconfig() -> Path:
    """The file through which terminals reach the lab that was started last."""
    return home() / "kubeconfig"


def variables() -> dict[str, str]:
    """Environment variables for JupyterLab, nbgrader and whatever runs lessons; PATH puts our kubectl first."""
    jupyter = home() / "jupyter"
    binaries = str(Path(sys.executable).parent)
    path = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part and part != binaries]
    return {
        "COURSE_HOME": str(home()),
        "JUPYTER_CONFIG_DIR": str(jupyter / "config"),
        "JUPYTER_DATA_DIR": str(jupyter / "data"),
        "JUPYTER_RUNTIME_DIR": str(jupyter / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(jupyter / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(jupyter / "workspaces"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(home() / "ipython"),
        "MPLCONFIGDIR": str(home() / "matplotlib"),
        "PATH": os.pathsep.join([binaries, *path]),
        **kubectl_variables(kubeconfig(), home() / "kubectl-cache"),
    }


def kubectl_variables(config: Path, cache: Path) -> dict[str, str]:
    """What makes kubectl use `config` and stay out of ~/.kube (its cache, its preferences)."""
    return {"KUBECONFIG": str(config), "KUBECACHEDIR": str(cache), "KUBERC": "off"}


def learner() -> str:
    """Who is learning: decides the names and numbers of exercises. The name is the one that nbgrader submits under.

    While nbgrader grades, the notebook lies in .../<learner>/<assignment>/ and the folder tells.
    """
    if grading():
        return Path.cwd().parent.name
    if os.environ.get("COURSE_LEARNER"):
        return os.environ["COURSE_LEARNER"]
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user without an entry
        name = "jovyan"
    return os.environ.get("JUPYTERHUB_USER", name) if name == "jovyan" else name


def grading() -> bool:
    """Whether nbgrader runs this notebook; then nothing counts as the learner's own progress."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"
