"""`course new`: a chapter made in a copy of the project can be built, proved and played at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course import environment
from course.new import _with_entry, new

COPIED = ("course", "notebooks", "exercises", "tests", "README.md", "conftest.py", "pyproject.toml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project; the engine is the one that is installed."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        there = environment.ROOT / name
        if there.is_dir():
            shutil.copytree(there, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
        else:
            shutil.copy(there, root)
    return root


def run(copy: Path, *arguments: str) -> str:
    """What Python prints in the copy, whose course is the copy's own; it must not fail."""
    variables = {**os.environ, "COURSE_HOME": str(copy / ".course")}
    variables["PYTHONPATH"] = os.pathsep.join([str(copy), str(environment.ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_chapter_works_before_anybody_has_written_a_word(copy: Path) -> None:
    """Made, built (its lesson runs), listed where its number belongs, and proved both ways for three learners."""
    made = run(copy, "-m", "course", "new", "45-tea-time").split("\n")
    assert made[:5] == [
        "notebooks/45-tea-time.md",
        "exercises/45-tea-time/tea-time.md",
        "course/tasks/tea_time.py",
        "tests/course/proofs/45-tea-time.yaml",
        "course/syllabus.yaml",
    ]
    built = run(copy, "-m", "course", "build", "45-tea-time").split()
    assert "notebooks/exercises/45-tea-time.ipynb" in built
    assert "lesson](notebooks/45-tea-time.ipynb)" in (copy / "README.md").read_text()
    assert "SOLUTION" not in (copy / "notebooks/exercises/45-tea-time.ipynb").read_text()
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/course/test_proofs.py", "-k", "45-tea-time")
    assert "passed" in said  # that none failed or was missing, the exit code says


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tea", "will not do"),
        ("45-Tea", "will not do"),
        ("45-", "will not do"),
        ("45-../x", "will not do"),
        ("09-tea", "there is 09-pods"),
        ("45-pods", "there is 09-pods"),
    ],
)
def test_a_name_that_will_not_do_changes_nothing(tmp_path: Path, name: str, sentence: str) -> None:
    """A chapter needs a number and a topic that nobody has; otherwise nothing is written."""
    with pytest.raises(ValueError, match=sentence):
        new(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["00", "02", "45", "99"])
def test_the_syllabus_stays_in_order(number: str) -> None:
    """The entry stands before the first chapter with a higher number, whatever the form of its neighbours."""
    text = (environment.ROOT / "course" / "syllabus.yaml").read_text()
    entry = f"      - {{id: {number}-x, title: X, about: x}}\n"
    parts = yaml.safe_load(_with_entry(text, entry, number))["parts"]
    numbers = [chapter["id"].split("-")[0] for part in parts for chapter in part["chapters"]]
    assert numbers == sorted(numbers)
    assert f"{number}-x" in [chapter["id"] for part in parts for chapter in part["chapters"]]
