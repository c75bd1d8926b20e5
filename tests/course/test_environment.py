"""Where the course keeps its things, and what a learner has done."""

import os
from pathlib import Path

import pytest
from nbgrader.utils import get_username

from course import environment, jupyter, progress, syllabus
from course.folder import Folder
from course.homepage import home as home_page


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "course home"))
    return tmp_path / "course home"


def test_nothing_points_out_of_the_course(home: Path) -> None:
    """Every folder and file that tools may write to lies in the course's own folder."""
    variables = environment.variables()
    for name, value in variables.items():
        if name.endswith(("_DIR", "DIR", "CONFIG", "HOME")):
            assert Path(value).is_relative_to(home), name
    assert variables["PATH"].split(os.pathsep)[0].endswith("bin")


def test_the_learner_is_whom_nbgrader_grades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While grading the folder tells, else the course's variable, else the user that nbgrader submits for."""
    folder = tmp_path / "autograded" / "ada" / "09-pods"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COURSE_LEARNER", raising=False)
    assert environment.learner() == get_username()
    monkeypatch.setenv("COURSE_LEARNER", "linus")
    assert environment.learner() == "linus"
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert environment.learner() == "ada"


def test_progress_keeps_the_best_and_counts_tries() -> None:
    """The best score stays, tries and hints are counted, and hints never exceed what there is."""
    progress.visit("09-pods")
    progress.record("09-pods", "fields", 1.5, 2)
    assert not progress.entry("09-pods", "fields").passed
    progress.record("09-pods", "fields", 2, 2)
    progress.record("09-pods", "fields", 0.5, 2)
    found = progress.entry("09-pods", "fields")
    assert (found.score, found.tries, found.passed) == (2, 3, True)
    assert [progress.take_hint("09-pods", "fields", 2) for _ in range(3)] == [1, 2, 2]


def test_the_home_page_says_where_to_go_on() -> None:
    """The first task that is not passed in the chapter opened last: in the lesson, in the exercises, then the next."""
    assert home_page().next is None
    progress.visit("17-apply")
    progress.visit("09-pods")
    progress.visit("17-apply")
    assert home_page().next == ("17-apply.ipynb", "kubectl apply, Apply twice")
    progress.record("17-apply", "own-apply", 2, 2)
    assert home_page().next == ("exercises/17-apply.ipynb", "kubectl apply, Foretell a merge")
    assert 'Go on: <a href="exercises/17-apply.ipynb">kubectl apply, Foretell a merge</a>' in home_page().html()
    assert home_page().text().endswith("go on: kubectl apply, Foretell a merge")
    for task in syllabus.chapter("17-apply").tasks:
        progress.record("17-apply", task.id, 1, 1)
    assert home_page().next == ("18-errata.ipynb", "Errata, the lesson")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"09-pods": 1}', '{"09-pods": {"fields": {"what": 1}}}'])
def test_a_broken_progress_file_is_no_progress(home: Path, text: str) -> None:
    """A file that cannot be read counts as empty, and the next check writes a good one."""
    home.mkdir()
    (home / "progress.json").write_text(text)
    assert progress.load() == {}
    progress.record("09-pods", "fields", 1, 2)
    assert progress.entry("09-pods", "fields").score == 1


def test_each_kernel_has_a_folder_of_its_own(home: Path) -> None:
    """A second lab of the same chapter gets another folder; a folder that was given back is used again, empty."""
    first, second = Folder(home, "09-pods"), Folder(home, "09-pods")
    assert (first.path.name, second.path.name) == ("09-pods", "09-pods-2")
    (first.path / "left over").touch()
    first.release()
    first.release()
    third = Folder(home, "09-pods")
    assert third.path == home / "09-pods"
    assert not list(third.path.iterdir())


def test_terminals_follow_the_newest_lab(home: Path) -> None:
    """The course's kubeconfig is a link to that of the lab that was published last."""
    for name in ("01-architecture", "09-pods"):
        folder = Folder(home, name)
        (folder.path / "kubeconfig").write_text(name)
        folder.publish(folder.path / "kubeconfig")
        assert environment.kubeconfig().read_text() == name


def test_commands_that_lessons_type_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where curl is missing the course says so, and how to get it; where all is there it says nothing."""
    monkeypatch.setattr(jupyter, "TYPED", ("sh",))
    assert jupyter.advice() == ""
    monkeypatch.setattr(jupyter, "TYPED", ("sh", "no-such-curl"))
    assert "type no-such-curl," in jupyter.advice()
    assert "apt-get install no-such-curl" in jupyter.advice()
