"""A class behind a real JupyterHub on loopback: two learners and an instructor, from release to returned feedback."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests

from course import environment

pytestmark = pytest.mark.timeout(900)  # three JupyterLabs on a busy machine

ASSIGNMENT = {"course_id": "kubernetes-apart", "assignment_id": "18-errata"}
PASSWORD = "open sesame"
PATIENCE = 300
CLASS = "instructors: [prof]\nlearners: [ada, grace]\n"


def free_ports() -> int:
    """The first of three free ports in a row: JupyterHub's own, its proxy's and its API's."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        try:
            for each in (port + 1, port + 2):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except (OSError, OverflowError):
            continue
        return port


class User:
    """Somebody with a browser: logs in through the form, and so into a server of their own."""

    def __init__(self, hub: str, name: str):
        self.hub, self.name, self.session = hub, name, requests.Session()
        self.home = f"{hub}/user/{name}"

    def log_in(self, password: str = PASSWORD) -> requests.Response:
        self.session.get(f"{self.hub}/hub/login", timeout=60)
        form = {"username": self.name, "password": password, "_xsrf": self.session.cookies.get("_xsrf", path="/hub/")}
        return self.session.post(f"{self.hub}/hub/login", data=form, timeout=60)

    def open(self) -> None:
        """Ask for the server, and wait until it answers with JupyterLab."""
        self.session.get(f"{self.hub}/hub/spawn", timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.session.get(f"{self.home}/lab", timeout=60)
            if answer.ok and answer.url.startswith(f"{self.home}/lab"):
                return
            time.sleep(0.5)
        raise AssertionError(f"{self.name}'s server does not come: {answer.status_code} {answer.url}")

    def ask(self, path: str, **data: Any) -> Any:
        """What the server answers, as JSON: to a POST with data, to a GET without."""
        xsrf = self.session.cookies.get("_xsrf", path=f"/user/{self.name}/")
        if data:
            answer = self.session.post(
                f"{self.home}/{path}", data=data, headers={"X-XSRFToken": xsrf or ""}, timeout=PATIENCE
            )
        else:
            answer = self.session.get(f"{self.home}/{path}", timeout=PATIENCE)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text[:500]}"
        found = answer.json()
        assert found.get("success", True) if isinstance(found, dict) else True, found
        return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course's folder on the class's server."""
    root = tmp_path_factory.mktemp("class")
    for name in ("exercises", "notebooks"):
        shutil.copytree(environment.ROOT / name, root / name)
    for name in ("nbgrader_config.py", "jupyterhub_config.py"):
        shutil.copy(environment.ROOT / name, root)
    (root / "class.yaml").write_text(CLASS)
    return root


@pytest.fixture(scope="module")
def hub(root: Path) -> Iterator[str]:
    """JupyterHub as `course hub --trial` starts it; its URL."""
    port = free_ports()
    variables = {**os.environ, "COURSE_ROOT": str(root), "COURSE_HOME": str(root / ".course")}
    variables |= {"COURSE_HUB_PORT": str(port), "COURSE_HUB_PASSWORD": PASSWORD}
    variables.pop("COURSE_LEARNER", None)
    log = root / "hub.log"
    command = [sys.executable, "-m", "course", "hub", "--trial"]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as out, subprocess.Popen(command, env=variables, stdout=out, stderr=out) as server:
        try:
            end = time.monotonic() + PATIENCE
            while "JupyterHub is now running" not in log.read_text():
                assert server.poll() is None and time.monotonic() < end, log.read_text()
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def solve(notebook: Path, source: Path, tasks: tuple[str, ...]) -> None:
    """Answer some tasks in a fetched notebook as the source does."""
    answers = {cell.id: cell.source for cell in nbformat.read(source, as_version=4).cells}
    mine = nbformat.read(notebook, as_version=4)
    for cell in mine.cells:
        if cell.id.removeprefix("answer-") in tasks:
            cell.source = re.sub(r"### (BEGIN|END) SOLUTION\n?", "", answers[cell.id])
    nbformat.write(mine, notebook)


def test_a_class_from_release_to_feedback(hub: str, root: Path) -> None:
    """Generate, release, fetch, submit, collect, grade, feedback, each by its own user through the hub."""
    prof, ada, grace = (User(hub, name) for name in ("prof", "ada", "grace"))
    stranger = User(hub, "mallory")
    assert stranger.log_in().status_code == 403
    assert ada.log_in("wrong").status_code == 403
    for user in (prof, ada, grace):
        assert user.log_in().ok
        user.session.get(f"{hub}/hub/spawn", timeout=PATIENCE)  # all three start at the same time
    for user in (prof, ada, grace):
        user.open()
    assert ada.session.get(f"{hub}/user/grace/lab", timeout=60).status_code == 403
    assert ada.session.get(f"{ada.home}/formgrader/api/assignments", timeout=60).status_code == 404

    graded = "formgrader/api/assignment/18-errata"
    prof.ask(f"{graded}/assign", a=1)
    prof.ask(f"{graded}/release", a=1)
    for user in (ada, grace):
        listed = user.ask("assignments/fetch", **ASSIGNMENT)["value"]
        assert [(each["assignment_id"], each["status"]) for each in listed] == [("18-errata", "fetched")]
    homes = {user.name: root / ".course" / "hub" / user.name / "kubernetes-apart" for user in (ada, grace)}
    for name, tasks in (("ada", ("inside", "elder")), ("grace", ("inside",))):
        assert (homes[name] / "notebooks" / "09-pods.ipynb").exists(), "the lessons are there"
        source = root / "exercises" / "18-errata" / "errata.ipynb"
        solve(homes[name] / "18-errata" / "errata.ipynb", source, tasks)
    for user in (ada, grace):
        user.ask("assignments/submit", **ASSIGNMENT)
    prof.ask(f"{graded}/collect", a=1)
    for name in ("ada", "grace"):
        prof.ask(f"formgrader/api/submission/18-errata/{name}/autograde", a=1)
    marks = {each["student"]: each["score"] for each in prof.ask("formgrader/api/submissions/18-errata")}
    assert marks == {"ada": 8, "grace": 4}
    prof.ask(f"{graded}/generate_feedback", a=1)
    prof.ask(f"{graded}/release_feedback", a=1)
    for user in (ada, grace):
        user.ask("assignments/fetch_feedback", **ASSIGNMENT)
        (page,) = homes[user.name].glob("18-errata/feedback/*/errata.html")
        told = page.read_text()
        assert "An example put right" in told
        assert f"{marks[user.name]:.1f}" in told
