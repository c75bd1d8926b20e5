"""JupyterHub's configuration for a class: `course hub`. Who is who stands in class.yaml.

Learners get JupyterLab with the lessons and nbgrader's assignment list, each in a home folder of their own. Instructors
get it on this folder, with the formgrader. Two kinds of installation:

    course hub --trial     on your own machine: everybody runs as you, one password for all (it is printed)
    sudo course hub        on a server: accounts and passwords of the system, each server with its user's own rights

It listens on 127.0.0.1. Put a web server with TLS before it (docs/instructors.md).
"""

import os
import secrets
import sys
from pathlib import Path

import yaml

c = get_config()  # noqa: F821  # given by the loader
root = Path(__file__).resolve().parent
home = Path(os.environ.get("COURSE_HOME") or root / ".course").resolve()
people = yaml.safe_load(Path(os.environ.get("COURSE_CLASS") or root / "class.yaml").read_text())
instructors, learners = set(people.get("instructors") or ()), set(people.get("learners") or ())
port = int(os.environ.get("COURSE_HUB_PORT") or 8000)
trial = os.environ.get("COURSE_HUB_TRIAL") == "1"

exchange = Path(os.environ.get("COURSE_EXCHANGE") or home / "exchange")
exchange.mkdir(parents=True, exist_ok=True)
exchange.chmod(0o777)  # nbgrader's exchange is written by everybody; what is in it has narrower rights
state = home / "hub"
state.mkdir(parents=True, exist_ok=True)

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_port = port + 2
c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.ConfigurableHTTPProxy.command = [str(Path(sys.executable).parent / "configurable-http-proxy")]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 1}"
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")

c.Authenticator.allowed_users = instructors | learners
c.Authenticator.admin_users = instructors
c.Spawner.cmd = [sys.executable, "-m", "course", "lab", "--hub"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 180  # seconds; a classroom starts all at once
c.Spawner.environment = {
    "COURSE_ROOT": str(root),
    "COURSE_EXCHANGE": str(exchange),
    "COURSE_HUB_ROLE": lambda spawner: "instructor" if spawner.user.name in instructors else "learner",
    "COURSE_SOLUTIONS": "on" if people.get("solutions") else "off",
}
if trial:
    password = os.environ.get("COURSE_HUB_PASSWORD") or secrets.token_urlsafe(9)
    print(f"The password for everybody in class.yaml is {password}", flush=True)
    c.JupyterHub.authenticator_class = "dummy"
    c.DummyAuthenticator.password = password
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(state / "{username}")
