"""Where submissions are judged: the warmed parents, the walls, and the clock that nobody outruns.

A court is for one assignment. For each notebook it raises walls (sandbox.py), forks a judge and a kernel and lets
them talk; itself it only watches the time and the memory, and takes down what the judge says. Whatever happens to
them, there is a verdict: what was not judged when time was up has no points and a message.
"""

import dataclasses
import itertools
import os
import queue
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any, Protocol

import nbformat

import course
import k8s_core
from course import environment, syllabus
from course.grading.channel import MAX_JOB, Channel, ChannelClosed, ChannelTimeout
from course.grading.intake import SourceError, Submission, Taken
from course.grading.judge import GRACE, PORT
from course.grading.nursery import Nursery
from course.grading.sandbox import ADVICE, DEFAULT, FIRST_UID, HOME, NODES, Cell, Limits, as_user, missing, system
from course.grading.verdict import Mark, Verdict

LOOK = 0.25
"""Seconds between two looks at how much memory a submission holds."""


class NoSandbox(Exception):
    """There is nothing to shut learners' code in, and nobody said that it may run free."""


class Bench(Protocol):
    """Whoever can judge submissions: a court, or many on other machines."""

    def judge_all(self, submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Verdict]]: ...
    def __enter__(self) -> "Bench": ...
    def __exit__(self, *_: object) -> None: ...


class Court:
    """Judges submissions of one assignment, as many at once as there are `workers`. Thread-safe."""

    def __init__(self, chapter: str, *, workers: int = 2, limits: Limits = DEFAULT, trust: bool = False):
        if not trust and missing():
            raise NoSandbox(ADVICE.format(reason=missing()))
        try:
            self.chapter = syllabus.chapter(chapter)
        except KeyError:
            raise SourceError(f'There is no chapter "{chapter}" in course/syllabus.yaml.') from None
        self.limits, self.walled, self.workers = limits, not trust, workers
        self._uid = FIRST_UID if self.walled and os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="course-judge-")).resolve()
        self._give(self.folder)
        self._numbers = itertools.count(1)
        self._places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(1, workers + 1):
            self._places.put(number)
        self._sweeper = ThreadPoolExecutor(1, "sweeper")
        self._judges = self._kernels = None
        try:
            self._judges = self._nursery("judge", str(self.folder), self.chapter.id)
            self._kernels = self._nursery("learner")
            self._judges.ready()
            self._kernels.ready()
        except EOFError:
            self.close()
            raise SourceError("The judge could not start; what it said stands above.") from None

    def close(self) -> None:
        self._sweeper.shutdown()
        for nursery in (self._judges, self._kernels):
            if nursery:
                nursery.close()
        remove(self.folder)

    def __enter__(self) -> "Court":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def judge_all(self, submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Verdict]]:
        """Judge several at once; each as it is done. No more are taken in than can be judged soon."""
        waiting: dict[Future[Verdict], Submission] = {}
        with ThreadPoolExecutor(self.workers, "judge") as pool:
            try:
                for submission in submissions:
                    waiting[pool.submit(self.judge, submission)] = submission
                    if len(waiting) > self.workers:
                        for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                            yield waiting.pop(done), done.result()
                for done in as_completed(list(waiting)):
                    yield waiting.pop(done), done.result()
            finally:
                for each in waiting:
                    each.cancel()

    def judge(self, submission: Submission) -> Verdict:
        """The verdict on a submission; never an exception for what is in it."""
        began = time.monotonic()
        marks: list[Mark] = []
        notebooks: dict[str, Any] = {}
        messages = list(submission.messages)
        for taken in submission.notebooks:
            hearing = _Hearing(taken, self.chapter)
            place = self._places.get()
            try:
                self._hear(hearing, submission, place)
            finally:
                self._places.put(place)
            marks += hearing.marks()
            messages += hearing.messages()
            notebooks[taken.source.name] = taken.notebook
        return Verdict(
            submission.assignment,
            submission.student,
            tuple(marks),
            tuple(messages),
            submission.digest,
            round(time.monotonic() - began, 3),
            notebooks,
        )

    # --- one notebook ---------------------------------------------------------------------------------------
    def _hear(self, hearing: "_Hearing", submission: Submission, place: int) -> None:
        folder = self.folder / f"{place}-{submission.digest[:12]}-{next(self._numbers)}"
        (folder / "nodes").mkdir(parents=True, exist_ok=True)
        for each in (folder, folder / "nodes"):
            self._give(each)
        (folder / "nodes").chmod(0o777)
        uid = None if self._uid is None else self._uid + place
        walls = Cell(folder / "nodes", uid=uid, limits=self.limits) if self.walled else None
        doors = walls.doors() if walls else []
        report, theirs = socket.socketpair()
        kernel, judge = socket.socketpair()
        control, watch = socket.socketpair()
        (out, to_out), (error, to_error) = os.pipe(), os.pipe()
        children = []
        try:
            inside = self._environment(folder)
            limits = dataclasses.asdict(self.limits)
            start = {"walled": self.walled, "uid": uid or 0, "port": PORT, "limits": limits, "environment": inside}
            assert self._kernels
            assert self._judges
            child = self._kernels.fork(start, [kernel.fileno(), to_out, to_error, watch.fileno(), *doors])
            children.append((self._kernels, child))
            files = [theirs.fileno(), judge.fileno(), control.fileno(), out, error]
            children.append((self._judges, self._judges.fork({"folder": folder.name}, files)))
            for end in (theirs, kernel, judge, control, watch):
                end.close()
            job = {"learner": submission.student, "walled": self.walled, "limits": limits, "environment": inside}
            job |= {"files": submission.files, "plan": hearing.plan}
            channel = Channel(report, MAX_JOB)
            channel.send(job)
            self._listen(hearing, channel, walls)
        except ChannelClosed:
            hearing.stopped = "The judge ended before it was done."
        except Exception as stumbled:  # whatever else it was: the others go on
            traceback.print_exc()
            hearing.stopped = f"The grader stumbled: {type(stumbled).__name__}."
        finally:
            if walls:
                walls.kill()
            for nursery, child in reversed(children):
                nursery.kill(child)
            for end in (report, theirs, kernel, judge, control, watch):
                end.close()
            for file in (out, to_out, error, to_error, *doors):
                os.close(file)
            self._sweeper.submit(self._sweep, walls, folder)

    def _sweep(self, walls: Cell | None, folder: Path) -> None:
        """What nobody has to wait for."""
        if walls:
            walls.close()
        remove(folder)

    def _listen(self, hearing: "_Hearing", channel: Channel, walls: Cell | None) -> None:
        """Take down what the judge says, until it is done or time or memory are used up."""
        end = time.monotonic() + self.limits.submission
        killed = False
        while True:
            try:
                message = channel.receive(time.monotonic() + LOOK)
            except ChannelTimeout:
                if time.monotonic() > end + GRACE:
                    hearing.stopped = f"The submission ran longer than {self.limits.submission:g} s."
                    return
                late = time.monotonic() > end
                what = f"ran longer than {self.limits.submission:g} s" if late else walls.used() if walls else ""
                if walls and what and not killed:
                    walls.kill()  # the judge goes on, and looks at what was made so far
                    killed = True
                    hearing.note = f"The submission {what}. Its processes were ended."
                continue
            if "done" in message:
                return
            hearing.take(message)

    def _environment(self, folder: Path) -> dict[str, str]:
        """What a kernel's processes have for an environment: nothing of the grader's."""
        home = HOME if self.walled else str(folder / "home")
        Path(folder, "home").mkdir(exist_ok=True)
        binaries = str(Path(sys.executable).parent)
        return {
            **environment.kubectl_variables(
                Path(home, ".kube", "config"), Path("/tmp" if self.walled else home, "cache")
            ),
            "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
            "HOME": home,
            "IPYTHONDIR": f"{home}/.ipython",
            "MPLCONFIGDIR": f"{home}/.matplotlib",
            "COURSE_HOME": f"{home}/.course",
            "NODES": NODES if self.walled else str(folder / "nodes"),
            "LANG": "C.UTF-8",
            "COURSE_STATIC": "1",
        }

    # --- the parents ----------------------------------------------------------------------------------------
    def _nursery(self, module: str, *arguments: str) -> Nursery:
        packages = [Path(str(package.__file__)).parent for package in (course, k8s_core)]
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(packages[0].parent),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "COURSE_HOME": str(self.folder),
            "IPYTHONDIR": str(self.folder / module),
            "MPLCONFIGDIR": str(self.folder / module),
        }
        command = [sys.executable, "-m", f"course.grading.{module}", *arguments]
        if module == "judge" and self.walled:
            walls = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--tmpfs", "/tmp"]
            walls += [*system(packages), "--dev", "/dev", "--proc", "/proc"]
            walls += ["--bind", str(self.folder), str(self.folder), "--chdir", str(self.folder)]
            needs = [*packages, self.folder]
            user = as_user(self._uid, needs) if self._uid is not None else []
            command = [*user, *walls, *command, "--walled"]
        return Nursery(command, variables, self.folder)

    def _give(self, folder: Path) -> None:
        """To the judge, who is somebody else when root grades."""
        if self._uid is not None:
            os.chown(folder, self._uid, self._uid)


class _Hearing:
    """One notebook while it is judged: what is to be run, and what has been said."""

    def __init__(self, taken: Taken, chapter: syllabus.Chapter):
        self.taken, self.chapter = taken, chapter
        self.stopped = self.note = ""
        self.plan: list[dict[str, Any]] = []
        self._cells: list[Any] = []
        self._graded: dict[str, dict[str, Any]] = {}
        for cell in taken.notebook.cells:
            if cell.cell_type != "code":
                continue
            check = taken.source.checks.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
            self.plan.append({"task": check.task, "names": list(check.names)} if check else {"source": cell.source})
            self._cells.append(cell)

    def take(self, message: dict[str, Any]) -> None:
        """Something was run, or judged."""
        if "cell" in message:
            cell = self._cells[message["cell"]]
            cell.outputs = [_node(each) for each in message["outputs"]]
            if message["problem"]:
                cell.outputs.append(_node({"output_type": "stream", "name": "stderr", "text": message["problem"]}))
                self._blame(cell, message["problem"])
            return
        cell = self._cells[message["grade"]]
        self._graded[cell.metadata.nbgrader.grade_id] = message
        data = {"text/plain": message["text"], **({"text/html": message["html"]} if message["html"] else {})}
        cell.outputs = [_node({"output_type": "display_data", "data": data, "metadata": {}})]

    def _blame(self, cell: Any, problem: str) -> None:
        id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if problem not in self.taken.flags.get("", []) and not problem.startswith("Not run"):
            self.taken.flag(id if id else "", problem)

    def marks(self) -> list[Mark]:
        found = []
        source = self.taken.source
        cells = {
            cell.metadata.nbgrader.grade_id: cell for cell in self.taken.notebook.cells if "nbgrader" in cell.metadata
        }
        for id, original in source.cells.items():
            mark = original["metadata"]["nbgrader"]
            if not mark["grade"]:
                continue
            answer = cells[source.answer_of(id)].source if source.answer_of(id) else ""
            if id not in source.checks:
                found.append(Mark(id, id, None, float(mark["points"]), answer=answer))
                continue
            said = self._graded.get(id, {"score": 0.0, "failed": [], "text": self.stopped or "Not judged."})
            message = "\n".join([*self.taken.flags.get(source.answer_of(id), []), *self.taken.flags.get(id, [])])
            if id not in self._graded:
                message = "\n".join(filter(None, [message, said["text"]]))
            score = min(max(float(said["score"]), 0.0), float(mark["points"]))
            task = source.checks[id].task
            found.append(Mark(id, task, score, float(mark["points"]), tuple(said["failed"]), message, answer))
        return found

    def messages(self) -> list[str]:
        """What is to be said of the notebook as a whole."""
        return [*filter(None, [self.note, self.stopped]), *self.taken.flags.get("", [])]


def remove(folder: Path) -> None:
    """Delete a folder, however deep, and whatever rights somebody took from it."""
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        subprocess.run([*command, str(folder)], stderr=subprocess.DEVNULL, check=False)
        if not folder.exists():
            return


def _node(output: dict[str, Any]) -> Any:
    return nbformat.from_dict(output)
