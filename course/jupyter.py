"""JupyterLab on the course's home page, with the course's own settings in .course/ and none of the user's.

In a class each user has such a server behind JupyterHub: an instructor's is like one's own, a learner's has a copy of
the lessons in the learner's home folder, nbgrader's assignment list, and nothing to grade with.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from course import environment

HOME_PAGE = "lab/tree/notebooks/00-home.ipynb"

TYPED = ("curl", "openssl")  # what lessons type besides bash and what we bring

HIDDEN = ["__pycache__", "*.py[co]", "*.egg-info", "[0-9][0-9]-*.md"]

TERMINAL = """# What JupyterLab's terminals read: the user's own settings, then the course's kubectl.
[ -f ~/.bashrc ] && . ~/.bashrc
"""


GRADERS = ("formgrader", "create-assignment", "course-list")
"""nbgrader's parts that are not for learners."""

LEARNERS_NBGRADER = """# A learner's nbgrader: where the class's assignments are, and whose submissions these are.
c = get_config()
c.CourseDirectory.course_id = "kubernetes-apart"
c.CourseDirectory.student_id = {name!r}
c.Exchange.root = {exchange!r}
"""


def prepare(*, hide: tuple[str, ...] = ()) -> dict[str, str]:
    """Write JupyterLab's settings; returns the environment it must run in. `hide` are nbgrader's parts to leave out."""
    variables = environment.variables()
    config = Path(variables["JUPYTER_CONFIG_DIR"])
    (config / "labconfig").mkdir(parents=True, exist_ok=True)
    script = config / "terminal.sh"
    exports = "".join(
        f"export {name}='{variables[name]}'\n" for name in ("PATH", "KUBECONFIG", "KUBECACHEDIR", "KUBERC")
    )
    script.write_text(TERMINAL + exports)
    server: dict[str, dict[str, Any]] = {
        "ServerApp": {"terminado_settings": {"shell_command": ["bash", "--rcfile", str(script)]}},
        # There is no trash inside .course/; lessons' text beside their notebooks would only confuse.
        "FileContentsManager": {"delete_to_trash": False, "hide_globs": HIDDEN},
    }
    off = {f"nbgrader.server_extensions.{part.replace('-', '_')}": False for part in hide}
    server["ServerApp"]["jpserver_extensions"] = off
    (config / "jupyter_server_config.json").write_text(json.dumps(server))
    disabled = {"@jupyterlab/apputils-extension:announcements": True}  # asks a server for news
    disabled |= {f"@jupyter/nbgrader:{part}": True for part in hide}
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    return variables


def command(arguments: list[str]) -> list[str]:
    """JupyterLab's command line; `arguments` go to `jupyter lab` as they are."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={environment.ROOT}",
        f"--LabApp.default_url=/{HOME_PAGE}",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *arguments,
    ]


def advice() -> str:
    """Which commands that lessons type are not on this machine, and how to get them; "" if all are here."""
    missing = " ".join(name for name in TYPED if not shutil.which(name))
    return missing and (
        f"Some lessons type {missing}, which this machine lacks. Debian: apt-get install {missing}; "
        f"macOS: brew install {missing}"
    )


def hub_user(arguments: list[str]) -> None:
    """Become the JupyterLab of one user of the class's JupyterHub; never returns."""
    root: Path = environment.ROOT
    hide: tuple[str, ...] = ()
    os.environ.update(COURSE_HOME=str(Path.home() / ".course"), COURSE_LEARNER=os.environ["JUPYTERHUB_USER"])
    if os.environ.get("COURSE_HUB_ROLE") != "instructor":
        root, hide = Path.home() / "kubernetes-apart", GRADERS
        give_lessons(root)
    variables = prepare(hide=hide)
    if hide:
        text = LEARNERS_NBGRADER.format(name=os.environ["COURSE_LEARNER"], exchange=os.environ["COURSE_EXCHANGE"])
        (Path(variables["JUPYTER_CONFIG_DIR"]) / "nbgrader_config.py").write_text(text)
    os.environ.update(variables)
    os.chdir(root)
    settings = [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/{HOME_PAGE}", *arguments]
    if os.geteuid() == 0:  # a trial as root
        settings.append("--allow-root")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *settings])


def give_lessons(root: Path) -> None:
    """Copy the lessons that a learner has not got yet; what is there may have been worked in, and stays."""
    for lesson in sorted(environment.NOTEBOOKS.rglob("*.ipynb")):
        target = root / "notebooks" / lesson.relative_to(environment.NOTEBOOKS)
        if ".ipynb_checkpoints" not in lesson.parts and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(lesson, target)


def hub(arguments: list[str], *, trial: bool) -> None:
    """Become the class's JupyterHub; never returns."""
    if trial:
        os.environ["COURSE_HUB_TRIAL"] = "1"
    os.chdir(environment.ROOT)
    config = environment.ROOT / "jupyterhub_config.py"
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub", "-f", str(config), *arguments])


def lab(arguments: list[str]) -> None:
    """Become JupyterLab; never returns."""
    if said := advice():
        print(said, file=sys.stderr, flush=True)
    os.environ.update(prepare())
    os.chdir(environment.ROOT)
    os.execv(sys.executable, command(arguments))
