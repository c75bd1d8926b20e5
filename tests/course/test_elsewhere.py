"""Tasks on a cluster of one's own: nothing is known of it but a kubeconfig's context."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_proofs as proofs

from course import __main__ as command
from course import elsewhere, environment, syllabus, tasks
from course.elsewhere import Elsewhere

ALIKE = ("11-deployments", "15-namespaces", "17-apply", "18-errata", "19-troubleshooting")
"""Chapters whose tasks are done here with kubectl alone, from their beginning to the reference solution."""
ON_NODES = re.compile(r"\$NODES|\blab\b|iptables")
"""Solutions that log in to a node, or read its rules at the right moment: elsewhere that is done otherwise."""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another process's cluster, in a kubeconfig with two contexts, of which the wanted one is not the current one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file = folder / "config"
    command_line = [sys.executable, "-m", "k8s_core", "serve", "--secure-port=0", "--write-kubeconfig", str(file)]
    server = subprocess.Popen(command_line, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdout.readline()  # it speaks when the file is there
    before = dict(os.environ)
    os.environ.update(environment.kubectl_variables(file, folder / "cache"))
    context = subprocess.check_output(["kubectl", "config", "current-context"], text=True).strip()
    for words in (
        ["rename-context", context, "mine"],
        ["set-context", "other", "--cluster=nowhere", "--user=nobody"],
        ["use-context", "other"],
    ):
        subprocess.run(["kubectl", "config", *words], check=True, capture_output=True)
    yield file
    os.environ.clear()
    os.environ.update(before)
    server.terminate()
    server.communicate()


def portable(chapter: str) -> list[str]:
    """The graded tasks that neither judge a function nor take the cluster itself apart."""
    _, exercises = tasks.load(syllabus.chapter(chapter), "ada")
    graded = [task.id for task in syllabus.chapter(chapter).tasks if task.points and not task.by_hand]
    ways = {id: proofs.solution(chapter, id).get("run", "lab") for id in graded}
    return [id for id, way in ways.items() if not exercises[id].apart and not ON_NODES.search(way)]


@pytest.mark.parametrize("chapter", ALIKE)
def test_begin_solve_and_check_with_nothing_but_a_context(
    kubeconfig: Path, chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the task begins with scores 0, the reference solution scores all, and a reset takes everything away."""
    monkeypatch.setattr(elsewhere, "PAUSE", 0.1)
    there = Elsewhere(syllabus.chapter(chapter), "mine", "ada", tmp_path)
    mine = {f"MY_{name.upper()}": str(value) for name, value in vars(there.values).items()}
    for id in portable(chapter):
        there.begin(id)
        assert there.check(id, 0).score == 0
        script = proofs.solution(chapter, id)["run"]
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**there._environment, **mine},
            capture_output=True,
            text=True,
            check=False,
        )
        report = there.check(id, 30)
        assert report.passed, proofs.explain(report, done.stdout + done.stderr)
        there.reset(id)


def test_the_command_begins_checks_and_resets(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`course check` says what is asked, reports every point with the kubectl that shows it, and ends in 1 or 0."""
    words = ["check", "16-imperative-declarative", "move", "--context", "mine", "--learner", "ada", "--wait", "0"]
    assert command.main([*words, "--begin"]) == 0
    asked = capsys.readouterr().out
    values, _ = tasks.load(syllabus.chapter("16-imperative-declarative"), "ada")
    assert values.grown in asked
    assert command.main(words) == 1
    told = capsys.readouterr().out
    assert told.count("look:     kubectl") == told.count("  --  ") == 4
    assert "does not keep its past" in told
    assert command.main([*words, "--reset"]) == 0
    assert values.grown not in subprocess.check_output(["kubectl", "--context=mine", "get", "deployments"], text=True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["09-pods", "fields", "--context", "nowhere"], "cannot locate context nowhere"),
        (
            ["09-pods", "nothing", "--context", "mine"],
            'no task "nothing" to check in chapter 09-pods. There are: first-pod',
        ),
        (["09-pods", "why", "--context", "mine"], 'no task "why" to check'),
        (["99-nothing", "why", "--context", "mine"], "no chapter 99-nothing"),
        (["17-apply", "write", "--context", "mine"], '"write" judges a function of yours'),
        (["04-apiserver", "conflict", "--context", "mine"], '"conflict" judges a function of yours'),
        (["05-controller-manager", "silent", "--context", "mine"], "takes the course's own cluster apart"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_there_is_one_sentence(
    kubeconfig: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong name, a task of another kind, a context that is not there: exit code 2, and nothing is changed."""
    assert command.main(["check", *words, "--wait", "0"]) == 2
    assert sentence in capsys.readouterr().err
