"""A lesson's own cluster, and what a learner does with it: time, checks, hints, pictures.

`start` gives each kernel one cluster, on a port and in a folder of its own, and points kubectl at it: in this kernel
(`!kubectl`, `%%bash`) and in JupyterLab's terminals. A second lesson, or the same one twice, does no harm; a cluster
ends with its kernel. What a learner does wrong ends in one plain sentence, never in a traceback of ours.
"""

import atexit
import os
import subprocess
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from IPython.display import Markdown, display

from course import environment, homepage, kernel, progress, stage, syllabus, tasks
from course.checks import Look, Report, run
from course.checks.look import InProcess
from course.folder import Folder
from course.kernel import LabError
from course.output import Output
from course.past import Moment, Past
from course.traffic import Traffic
from course.views import Views
from course.widgets.player import static
from course.widgets.state import Moments
from course.wire import Answer, Wire
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.cluster import Cluster
from k8s_core.faults import STATIC, Faults, NoSuchFault
from k8s_core.kubelet.host import Host
from k8s_core.kubelet.units import Systemd, Unit

BROKEN = 'The check of "{id}" went wrong. That is a mistake of the course, not yours; .course/errors.log says more.'
NO_EDITOR = 'echo "In a cell there is no editor. Use kubectl patch here, or kubectl edit in a terminal." >&2; false'
"""What `kubectl edit` starts in a cell, where an editor would wait for keys for ever."""
WITH_SOLUTION = "done with the solution"

_running: "Lab | None" = None


def start(chapter: str, *, learner: str = "", seed: int = 0) -> "Lab":
    """Start the chapter's cluster ("09-pods"); the one this kernel had before ends."""
    global _running  # noqa: PLW0603  # one lab a kernel, as a kernel has one environment
    try:
        found = syllabus.chapter(chapter)
    except KeyError:
        known = ", ".join(each.id for each in syllabus.chapters() if each.lesson or each.assignment)
        raise LabError(f'There is no chapter "{chapter}". There are: {known}.') from None
    stop()
    _leave_notebooks(found)
    _running = Lab(found, learner or environment.learner(), seed)
    if not (static() or environment.grading()) and (said := homepage.so_far(found)):
        print(said)
    kernel.install(_typed)
    return _running


def _leave_notebooks(chapter: syllabus.Chapter) -> None:
    """Let the files that a lesson's cells write go to .course/work/, not among the lessons."""
    if (Path.cwd() / f"{chapter.id}.ipynb").exists() and Path.cwd().name == environment.NOTEBOOKS.name:
        work = environment.home() / "work" / chapter.id
        work.mkdir(parents=True, exist_ok=True)
        os.chdir(work)


def stop() -> None:
    """End this kernel's lab, if it has one."""
    global _running  # noqa: PLW0603  # see start
    if _running:
        _running.close()
        _running = None


def _typed(node: str, command: str) -> str:
    if _running is None:
        raise LabError("There is no lab in this notebook yet. Run its first cell.")
    return _running.node(node).run(command)


atexit.register(stop)


class Lab(Views, Traffic):
    """One cluster with the tasks of one chapter."""

    def __init__(self, chapter: syllabus.Chapter, learner: str, seed: int = 0):
        self._folder = Folder(environment.home(), chapter.id)
        self._boot(chapter, seed, self._folder.path)
        self._open(learner, self._folder.path)
        self._folder.publish(self._folder.path / "kubeconfig")
        if not environment.grading():
            progress.visit(chapter.id)

    def _boot(self, chapter: syllabus.Chapter, seed: int, root: Path) -> None:
        """The chapter's cluster, at rest, with its nodes' files below `root`."""
        self.chapter = chapter
        self.cluster = Cluster(seed=seed, clock="step" if static() else "elastic", root=root)
        self.cluster.settle()
        self.began = self.cluster.loop.now
        self._moments = Moments(self.cluster.history)

    def _open(self, learner: str, folder: Path) -> None:
        """Open the cluster's door, and give a learner their own values; `folder` is where the nodes' files are."""
        self.learner = learner
        self._values, self._exercises = tasks.load(self.chapter, learner)
        self.values = tasks.told(self.chapter, self._values)
        self._begun: set[str] = set()
        self._asked: dict[str, float] = {}
        self._since: dict[str, Moment] = {}
        self._past = Past(self.cluster)
        self._door = self.cluster.serve()
        if static():
            self._door.follower.mode = "still"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(self.cluster.pki.kubeconfig("admin", self._door.url))
        self.environment = {
            **environment.variables(),
            **environment.kubectl_variables(kubeconfig, folder / "kubectl-cache"),
            "NODES": str(folder / "nodes"),
            "KUBE_EDITOR": NO_EDITOR,
        }
        self._mine = {f"MY_{name.upper()}": str(value) for name, value in vars(self.values).items()}
        os.environ.update({**self.environment, **self._mine})
        source = InProcess(
            self.cluster.client(),
            self.cluster.lock,
            is_not_found,
            {**os.environ, **self.environment},
            self._past,
        )
        self._see = Look(source)

    def close(self) -> None:
        """End the cluster and give its folder back."""
        self.cluster.stop()
        self._folder.release()

    def __repr__(self) -> str:
        return f"<the lab of chapter {self.chapter.id}>"

    # --- time -----------------------------------------------------------------------------------------------
    def advance(self, duration: str | float) -> None:
        """Send the cluster's time ahead, by "5m", "1h30m" or a number of seconds."""
        if str(duration).startswith("-"):
            raise LabError("Time only goes forward. What is past can be looked at: lab.show().")
        try:
            self.cluster.advance(duration)
        except ValueError:
            raise LabError(f'"{duration}" is no duration. Write it like "30s", "5m" or "1h30m".') from None

    def settle(self) -> None:
        """Send time ahead until nothing is under way."""
        self.cluster.settle()

    # --- reaching it ----------------------------------------------------------------------------------------
    def node(self, name: str) -> "Node":
        """A node's shell: `lab.node("cp").run("crictl ps")`, or a cell that begins with `%%node cp`."""
        if name not in self.cluster.hosts:
            raise LabError(f'There is no node "{name}". There are: {", ".join(self.cluster.hosts)}.')
        return Node(self.cluster.node(name))

    def http(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        """One HTTPS request to the apiserver, without kubectl: `lab.http("GET", "/version")`."""
        try:
            return Wire(self._folder.path / "kubeconfig").request(method, path, body, content_type)
        except ValueError as error:
            raise LabError(str(error)) from None

    # --- taking it apart ------------------------------------------------------------------------------------
    @property
    def faults(self) -> Faults:
        """What can be made to go wrong: `lab.faults.node_down("worker1")`; every call has one that mends it."""
        return self.cluster.faults

    def stop(self, component: str) -> None:
        """Take away a part of the control plane ("kube-scheduler"), or stop a node's kubelet ("kubelet worker1").

        The part's manifest is put aside, and its Pod ends.
        """
        with self.cluster.lock:
            self._component(component).stop()

    def restart(self, component: str) -> None:
        """Start it again; one that runs is stopped before."""
        with self.cluster.lock:
            part = self._component(component)
            part.stop()
            part.start()
            self.cluster.loop.run_ready()

    def _component(self, name: str) -> "Manifest | Service":
        parts: dict[str, Manifest | Service] = {
            **{static: Manifest(self.cluster, static) for static in STATIC},
            **{
                f"kubelet {node}": Service(host.systemd, host.kubelet_unit) for node, host in self.cluster.hosts.items()
            },
        }
        if name not in parts:
            raise LabError(f'There is no component "{name}" to stop. There are: {", ".join(parts)}.')
        return parts[name]

    # --- tasks ----------------------------------------------------------------------------------------------
    def task(self, id: str) -> None:
        """Show what is asked, with your own names and numbers, and set up what the task begins with."""
        display(Markdown(self.told_of(id)))

    def told_of(self, id: str) -> str:
        """What `task` shows, as Markdown."""
        task = self._task(id)
        exercise = self._exercises.get(id)
        self._put_away(id)
        if exercise and exercise.begin and id not in self._begun:
            self._begin(id, exercise)
        self._asked.setdefault(id, time.monotonic())
        worth = f" ({task.points:g} points{f', {task.minutes} minutes' if task.minutes else ''})" if task.points else ""
        title = f"{task.title}{worth}"
        return f"**{title}{'' if title[-1] in '?!' else '.'}** {tasks.fill(task.ask, self._values)}"

    def examine(self, id: str, *handed: Any) -> Report:
        """Let the cluster come to rest, then look; nothing is shown or recorded. `handed`: functions to be checked."""
        task = self._task(id)
        exercise = self._exercises.get(id)
        if not exercise:
            raise LabError(f'"{id}" is read by an instructor. There is nothing to check.')
        self.cluster.settle()
        self._see.since, self._see.handed = self._since.get(id), handed
        return run(task.title, exercise.check, self._see, self._values, task.points)

    def check(self, id: str = "", *handed: Any) -> Report | None:
        """What is right and what is not: of one task, or of every task of the chapter's exercises."""
        if id:
            try:
                report = self.examine(id, *handed)
            except LabError:
                raise
            except Exception:
                kernel.keep(traceback.format_exc())
                raise LabError(BROKEN.format(id=id)) from None
            if environment.grading():
                return report
            entry = progress.record(self.chapter.id, id, report.score, report.total)
            notes = [*report.notes, *self._took(id, report), *([WITH_SOLUTION] if entry.solution else [])]
            return replace(report, notes=tuple(notes))
        for task in self.chapter.tasks:
            if task.points and not task.by_hand:
                display(self.check(task.id))
        return None

    def _took(self, id: str, report: Report) -> list[str]:
        """How long a task with a time took, once: when it is passed for the first time."""
        task, asked = self._task(id), self._asked.get(id)
        if not (task.minutes and asked and report.passed):
            return []
        self._asked[id] = 0.0
        minutes, seconds = divmod(round(time.monotonic() - asked), 60)
        return [f"It took you {minutes} min {seconds} s. Somebody who knows needs {task.minutes} minutes."]

    def grade(self, id: str, *handed: Any) -> float:
        """Show the report and return the points: what a graded cell ends in."""
        report = self.check(id, *handed)
        assert report is not None
        display(report)
        return float(report.score)

    def hint(self, id: str) -> None:
        """One more hint. Hints are counted, and cost nothing."""
        task = self._task(id)
        if not task.hints:
            raise LabError(f'There are no hints for "{id}".')
        taken = progress.take_hint(self.chapter.id, id, len(task.hints))
        lines = [f"{number}. {tasks.fill(hint, self._values)}" for number, hint in enumerate(task.hints[:taken], 1)]
        left = len(task.hints) - taken
        lines.append(f"\n{left} more." if left else "\nThat was the last one.")
        display(Markdown("\n".join(lines)))

    def solution(self, id: str) -> None:
        """Show how it can be done. The task counts as done with the solution from then on, unless it was passed."""
        task = self._task(id)
        if os.environ.get("COURSE_SOLUTIONS") == "off":
            raise LabError("There are no solutions to look at in this course. Ask your instructor.")
        from course import authoring  # noqa: PLC0415  # reading the assignments' text is slow to load

        found = authoring.solution(self.chapter, task)
        if not found:
            raise LabError(f'There is no solution for "{id}" here. Its last hint says how.')
        progress.take_solution(self.chapter.id, id)
        display(Markdown(found))

    def reset(self, id: str = "") -> None:
        """Begin one task again, or without an argument the whole lab, with a new cluster."""
        if not id:
            begun = [task.id for task in self.chapter.tasks if task.id in self._begun]
            self.close()
            self.__init__(self.chapter, self.learner)  # type: ignore[misc]  # the same lab, from its beginning
            for each in begun:
                self._begin(each, self._exercises[each])
            print("The lab begins again, with a new cluster.")
            return
        title = self._task(id).title
        exercise = self._exercises.get(id)
        self._put_away(id)
        if exercise:
            self._take_away(id, exercise)
        if exercise and exercise.begin:
            self._asked[id] = time.monotonic()
            self._begin(id, exercise)
        else:
            self._since[id] = self._past.now()
        print(f'"{title}" begins again.')

    def _put_away(self, id: str) -> None:
        """Mend what other tasks have broken in the cluster itself, and nobody has mended: it would be in the way."""
        for other in sorted(self._begun - {id}):
            if self._exercises[other].apart and not self.examine(other).passed:
                self._take_away(other, self._exercises[other])

    def _take_away(self, id: str, exercise: tasks.Exercise) -> None:
        """Mend what the task broke, and delete what is its own."""
        for component in exercise.stops if id in self._begun else ():
            self.restart(tasks.fill(component, self._values))
        self._type(exercise.mended)
        owned = [tasks.fill(each, self._values).split("/") for each in exercise.owns]
        with self.cluster.lock:
            stage.take_away(self.cluster.client(), owned)
        self.cluster.settle()
        self._begun.discard(id)

    def _begin(self, id: str, exercise: tasks.Exercise) -> None:
        """Set up what a task begins with."""
        assert exercise.begin
        for component in exercise.stops:
            self.stop(tasks.fill(component, self._values))
        self._type(exercise.typed)
        if exercise.files:
            script = ["bash", "-c", tasks.fill(exercise.files, self._values)]
            subprocess.run(script, env={**os.environ, **self.environment}, capture_output=True, check=True)
            self.cluster.settle()
        try:
            with self.cluster.lock:
                stage.put(self.cluster.client(agent=stage.AGENT), exercise.begin(self._values))
        except StatusError as error:
            raise LabError(f"The task could not be set up: {error.status['message']}") from None
        self._begun.add(id)
        self.cluster.settle()
        for command in exercise.then:
            self.kubectl(tasks.fill(command, self._values))
            self.cluster.settle()
        if exercise.age:
            self.cluster.advance(exercise.age)
        self._since[id] = self._past.now()

    def _type(self, lines: Sequence[tuple[str, str]]) -> None:
        for node, commands in lines:
            self.node(tasks.fill(node, self._values)).run(tasks.fill(commands, self._values))

    def _task(self, id: str) -> syllabus.Task:
        try:
            return self.chapter.task(id)
        except KeyError:
            known = ", ".join(task.id for task in self.chapter.tasks)
            raise LabError(f'There is no task "{id}" in chapter {self.chapter.id}. There are: {known}.') from None


class Manifest:
    """A part of the control plane, by its manifest in the folder from which the kubelet starts it."""

    def __init__(self, cluster: Cluster, name: str):
        self.cluster, self.name = cluster, name

    def start(self) -> None:
        with suppress(NoSuchFault):  # it is there
            self.cluster.faults.start(self.name)
        self.cluster.settle()

    def stop(self) -> None:
        with suppress(NoSuchFault):  # it was stopped before
            self.cluster.faults.stop(self.name)
        self.cluster.settle()


class Service:
    """A service of a node, started and stopped as systemctl does it."""

    def __init__(self, systemd: Systemd, unit: Unit):
        self.start, self.stop = partial(systemd.start, unit), partial(systemd.stop, unit)


class Node:
    """One node: `run` types into its shell, `root` is its file tree as a folder of this machine."""

    def __init__(self, host: Host):
        self._host, self.name, self.root = host, host.name, host.root

    def run(self, command: str) -> Output:
        """Type a line (or several) into the node's shell; what it printed."""
        return Output(self._host.run(command).output)

    def __repr__(self) -> str:
        return f"<node {self.name}, its files: {self.root}>"
