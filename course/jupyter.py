"""JupyterLab on the course's home page, with the course's own settings in .course/ and none of the user's."""

import json
import os
import shutil
import sys
from pathlib import Path

from course import environment

HOME_PAGE = "lab/tree/notebooks/00-home.ipynb"

TYPED = ("curl", "openssl")  # what lessons type besides bash and what we bring

HIDDEN = ["__pycache__", "*.py[co]", "*.egg-info", "[0-9][0-9]-*.md"]

TERMINAL = """# What JupyterLab's terminals read: the user's own settings, then the course's kubectl.
[ -f ~/.bashrc ] && . ~/.bashrc
"""


def prepare() -> dict[str, str]:
    """Write JupyterLab's settings; returns the environment it must run in."""
    variables = environment.variables()
    config = Path(variables["JUPYTER_CONFIG_DIR"])
    (config / "labconfig").mkdir(parents=True, exist_ok=True)
    script = config / "terminal.sh"
    exports = "".join(
        f"export {name}='{variables[name]}'\n" for name in ("PATH", "KUBECONFIG", "KUBECACHEDIR", "KUBERC")
    )
    script.write_text(TERMINAL + exports)
    server = {
        "ServerApp": {"terminado_settings": {"shell_command": ["bash", "--rcfile", str(script)]}},
        # There is no trash inside .course/; lessons' text beside their notebooks would only confuse.
        "FileContentsManager": {"delete_to_trash": False, "hide_globs": HIDDEN},
    }
    (config / "jupyter_server_config.json").write_text(json.dumps(server))
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # asks a server for news
    (config / "labconfig" / "page_config.json").write_text(json.dumps(quiet))
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


def lab(arguments: list[str]) -> None:
    """Become JupyterLab; never returns."""
    if said := advice():
        print(said, file=sys.stderr, flush=True)
    os.environ.update(prepare())
    os.chdir(environment.ROOT)
    os.execv(sys.executable, command(arguments))
