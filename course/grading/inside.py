"""`lab` as it is while a submission is graded: the same words, but the cluster is on the other side of a wall.

What a lab does with the cluster it asks of the judge, one short message a time; kubectl, curl and `lab.http` reach the
cluster's own door over the loopback. Left out: what only an eye can use (pictures say that they are not drawn), and
whatever would reach into the cluster's Python objects.
"""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from IPython.display import Markdown, display

from course.kernel import LabError
from course.wire import Answer, Wire

Ask = Callable[..., Any]
_ask: Ask | None = None


def connect(ask: Ask) -> None:
    """Give labs somebody to ask: `ask(verb, *arguments)` returns the judge's answer or raises LabError."""
    global _ask  # noqa: PLW0603  # one kernel, one judge
    _ask = ask


def start(chapter: str, *, learner: str = "", seed: int = 0) -> "Lab":
    """The lab of the assignment that is graded; `learner` and `seed` are the judge's to say."""
    assert _ask, "no judge"
    told = _ask("start", str(chapter))
    os.environ.update(told["environment"])
    return Lab(_ask, told)


def typed(node: str, command: str) -> str:
    """What `%%node` types on a node."""
    assert _ask, "no judge"
    return str(_ask("node", node, command))


class Lab:
    """The same lab as in a notebook, as far as it works from outside the cluster."""

    def __init__(self, ask: Ask, told: dict[str, Any]):
        self._ask, self._kubeconfig = ask, Path(told["environment"]["KUBECONFIG"])
        self.learner, self.values = told["learner"], SimpleNamespace(**told["values"])
        self.chapter = SimpleNamespace(id=told["chapter"])
        self.environment = dict(told["environment"])

    def __repr__(self) -> str:
        return f"<the lab of chapter {self.chapter.id}>"

    def __getattr__(self, name: str) -> Any:
        raise LabError(f"lab.{name} does not work while an assignment is graded.")

    # --- asked of the judge ---------------------------------------------------------------------------------
    def advance(self, duration: str | float) -> None:
        self._ask("advance", duration)

    def settle(self) -> None:
        self._ask("settle")

    def task(self, id: str) -> None:
        display(Markdown(self._ask("task", id)))

    def hint(self, id: str) -> None:
        display(Markdown(self._ask("hint", id)))

    def check(self, id: str = "", *handed: Any) -> "Told | None":
        return Told(self._ask("check", id, handed=handed))

    def grade(self, id: str, *handed: Any) -> float:
        """What it shows and returns in a notebook; the mark itself is the judge's."""
        told = Told(self._ask("check", id, handed=handed))
        display(told)
        return float(told.score)

    def reset(self, id: str = "") -> None:
        self._ask("reset", id)

    def stop(self, component: str) -> None:
        self._ask("stop", component)

    def restart(self, component: str) -> None:
        self._ask("restart", component)

    def node(self, name: str) -> "Node":
        return Node(self._ask, name)

    def flows(self, source: str, address: str, port: int, count: int = 300) -> "Output":
        return Output(self._ask("flows", source, address, port, count))

    def lookup(self, source: str, name: str) -> "Output":
        return Output(self._ask("lookup", source, name))

    def keys(self, prefix: str = "/registry/") -> "Output":
        return Output(self._ask("keys", prefix))

    def revisions(self) -> list[int]:
        return list(self._ask("revisions"))

    # --- done here ------------------------------------------------------------------------------------------
    def kubectl(self, arguments: str) -> "Output":
        words = shlex.split(arguments)
        return _run(["kubectl", *(words[1:] if words[:1] == ["kubectl"] else words)])

    def http(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        return Wire(self._kubeconfig).request(method, path, body, content_type)

    def trace(self, command: str) -> "Output":
        print(self.kubectl(command), end="")
        self.settle()
        return _NOT_DRAWN

    def stages(self, command: str) -> "Output":
        print(_run(["bash", "-c", command]), end="")
        return _NOT_DRAWN

    def show(self, *_: Any, **__: Any) -> "Output":
        return _NOT_DRAWN

    rollout = decision = packet = merge = owners = life = service = ports = request = modes = solution = show
    browse = loop = what_if = sandboxes = audit = show


class Node:
    """A node's shell, with the judge."""

    def __init__(self, ask: Ask, name: str):
        self._ask, self.name, self.root = ask, name, Path(os.environ["NODES"], name)

    def run(self, command: str) -> "Output":
        return Output(self._ask("node", self.name, command))


class Output(str):
    """Text that a notebook shows as it is."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.rstrip("\n"))


class Told:
    """A check's report, as text."""

    def __init__(self, told: dict[str, Any]):
        self.text, self.score, self.total, self.passed = told["text"], told["score"], told["total"], told["passed"]

    def __str__(self) -> str:
        return str(self.text)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.text)


_NOT_DRAWN = Output("(a picture, which is not drawn while an assignment is graded)")


def _run(command: list[str]) -> Output:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return Output(done.stdout + done.stderr)
