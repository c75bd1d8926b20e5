"""The judge: owns the cluster and the checks, tells the kernel what to run, and looks at the cluster from outside.

One process for one notebook, forked from a nursery that has the chapter's cluster booted. What comes from the kernel
is a stranger's word: outputs are cut and stripped to text and pictures, questions are answered only if they are on
the list and their arguments are of the right type, and no message can change a mark. Marks come from checks alone,
and go to the grader one by one as they are made, so that those made stay even if the judge is ended later.
"""

import base64
import contextlib
import dataclasses
import json
import os
import resource
import select
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Any

from course import syllabus, tasks
from course.checks import Report
from course.grading.channel import MAX_JOB, Channel, ChannelBroken, ChannelClosed, ChannelTimeout, receive_files
from course.grading.mounts import own_mounts, put_in_place
from course.grading.nursery import tend
from course.grading.outputs import Outputs, clip
from course.grading.questions import answers, expect
from course.grading.sandbox import Limits
from course.kernel import LabError
from course.lab import Lab
from k8s_core.apiserver import http  # noqa: F401  # loaded before the forks, not after each

GRACE = 5.0
"""Seconds that a kernel has to start, or to stop after it was interrupted."""
PORT = 6443
"""The apiserver's port inside a sandbox."""
MAX_MEMORY = 4 << 30
"""Bytes of address space of a judge: what a learner puts into the cluster lies here."""


class KernelEnded(Exception):
    """There is no kernel that could answer."""


class Bench(Lab):
    """A lab whose cluster was booted before it was known for whom."""

    def __init__(self, chapter: syllabus.Chapter, root: Path):
        self._boot(chapter, 0, root)

    def open(self, learner: str, folder: Path) -> None:
        self._open(learner, folder)
        self._see.draw = SystemRandom()

    def listen(self, listening: socket.socket) -> None:
        """Serve the apiserver inside a sandbox, too."""
        self._door.listen(listening)

    def kubeconfig(self, url: str = "") -> str:
        return self.cluster.pki.kubeconfig("admin", url or self._door.url)

    def told(self, learner: str, values: Any, environment: dict[str, str]) -> dict[str, Any]:
        """What a kernel hears when its lab starts."""
        plain = json.loads(json.dumps(vars(values), default=str))
        mine = {**environment, **self._mine}
        return {"chapter": self.chapter.id, "learner": learner, "values": plain, "environment": mine}

    def judge(self, task: str, handed: tuple[Any, ...]) -> Report:
        """A graded cell: what the check says. A task that was never shown begins now."""
        exercise = self._exercises.get(task)
        if exercise and exercise.begin and task not in self._begun:
            self._begin(task, exercise)
        report = self.examine(task, *handed)
        points = [dataclasses.replace(point, observed=clip(point.observed)) for point in report.points]
        return dataclasses.replace(report, points=tuple(points))


class Judge:
    """Runs one notebook in a kernel and grades it."""

    def __init__(
        self, lab: Bench, report: Channel, kernel: Channel, outputs: Outputs, control: socket.socket, limits: Limits
    ):
        self.lab, self.report, self.kernel, self.outputs, self.control = lab, report, kernel, outputs, control
        self.limits = limits
        self.ended = ""
        """Why there is no kernel any more, in a sentence."""
        self.answers: dict[str, Callable[..., Any]] = {}
        self.functions: list[Callable[..., Any]] = []
        self.calls = 0
        self.calling = False
        self.deadline = 0.0

    # --- the notebook ---------------------------------------------------------------------------------------
    def run(self, job: dict[str, Any], environment: dict[str, str], url: str) -> None:
        told = self.lab.told(job["learner"], self.lab.values, environment)
        self.answers = answers(self, told)
        files = {**job["files"], environment["KUBECONFIG"]: _encoded(self.lab.kubeconfig(url))}
        for path, data in files.items():
            self.say({"do": "file", "path": path, "data": data})
        for number, step in enumerate(job["plan"]):
            self.outputs.begin()
            if "task" in step:
                self.grade(number, step)
            else:
                problem = self.cell(step["source"])
                self.report.send({"cell": number, "outputs": self.outputs.made, "problem": problem})
        self.report.send({"done": True})

    def cell(self, source: str) -> str:
        """Run one cell; says what ended it, if it did not end by itself."""
        if self.ended:
            return f"Not run: {self.ended[:1].lower()}{self.ended[1:]}"
        self.deadline = time.monotonic() + self.limits.cell
        self.say({"do": "cell", "source": source})
        try:
            self.until("done")
        except KernelEnded:
            return self.ended
        except ChannelTimeout:
            return self.interrupt()
        return ""

    def grade(self, number: int, step: dict[str, Any]) -> None:
        """A graded cell: never run, but judged."""
        self.deadline = time.monotonic() + self.limits.cell
        handed: tuple[Any, ...] = ()
        if step["names"] and not self.ended:
            self.say({"do": "hand", "names": step["names"]})
            with contextlib.suppress(KernelEnded, ChannelTimeout):
                there = self.until("done")
                if isinstance(there, list):
                    handed = tuple(self.function(i) if each is True else None for i, each in enumerate(there[:8]))
        try:
            report = self.lab.judge(step["task"], handed)
        except Exception as error:  # a check that trips over what a learner made gives nothing, and says why
            text = f"The check stumbled over what it found: {type(error).__name__}: {clip(str(error))}"
            self.report.send({"grade": number, "score": 0.0, "failed": [], "text": text, "html": ""})
            return
        failed = [point.what for point in report.failed]
        told = {"score": report.score, "failed": failed, "text": str(report), "html": report.html()}
        self.report.send({"grade": number, **told})

    # --- the kernel -----------------------------------------------------------------------------------------
    def say(self, message: dict[str, Any]) -> None:
        if not self.ended:
            try:
                self.kernel.socket.settimeout(GRACE)  # it may have stopped listening
                self.kernel.send(message)
            except ChannelClosed:
                self.end()

    def until(self, wanted: str, number: int = 0) -> Any:
        """Serve the kernel until it says that it is done, or has answered a call. KernelEnded or ChannelTimeout."""
        while True:
            message = self.next()
            if "ask" in message:
                self.answer(message)
            elif "tell" in message:
                if message["tell"] == "done" and wanted == "done":
                    self.outputs.drain()
                    return message.get("what")
                self.outputs.tell(str(message["tell"]), message.get("what"))
            elif wanted == "call" and message.get("call") == number:
                return message

    def next(self) -> dict[str, Any]:
        """The next message; meanwhile what is printed is read."""
        sockets = [self.kernel.socket.fileno(), self.control.fileno()]
        while True:
            if self.ended:
                raise KernelEnded(self.ended)
            try:
                message = self.kernel.take()
                if message is not None:
                    self.outputs.drain()
                    return message
                left = self.deadline - time.monotonic()
                if left <= 0:
                    raise ChannelTimeout
                readable, _, _ = select.select([*sockets, *self.outputs.pipes], [], [], left)
                for pipe in list(self.outputs.pipes):
                    if pipe in readable:
                        self.outputs.read(pipe)
                if sockets[0] in readable:
                    self.kernel.fill()
                elif sockets[1] in readable:  # the kernel is gone, though something it left may hold its socket
                    raise ChannelClosed
            except ChannelBroken:
                self.end("The kernel was ended: it sent the judge what is no message.")
            except ChannelClosed:
                self.outputs.drain()
                self.end()

    def interrupt(self) -> str:
        """A cell ran too long: as if the learner had pressed the stop button; and if that does not help, the end."""
        limit = f"The cell ran longer than {self.limits.cell:g} s"
        with contextlib.suppress(OSError):
            self.control.send(b"i")
        self.deadline = time.monotonic() + GRACE
        try:
            self.until("done")
        except ChannelTimeout:
            self.end(f"{limit} and could not be interrupted. The kernel was ended.")
            return self.ended
        except KernelEnded:
            return self.ended
        return f"{limit} and was interrupted."

    def end(self, why: str = "") -> None:
        """There is no kernel any more; `why`, or what can be found out about it."""
        if self.ended:
            return
        self.kernel.close()
        code = "" if why else self.exit_code()
        if not code:  # it lives, and cannot be talked to
            with contextlib.suppress(OSError):
                self.control.send(b"k")
        self.ended = why or _REASONS.get(code, "The kernel was ended by the code in a cell.")

    def exit_code(self) -> str:
        """How the kernel ended; empty if it has not."""
        if not select.select([self.control], [], [], GRACE / 5)[0]:
            return ""
        with contextlib.suppress(OSError):
            return self.control.recv(16).decode()
        return ""

    # --- what it asks ---------------------------------------------------------------------------------------
    def answer(self, message: dict[str, Any]) -> None:
        number, arguments = message.get("number"), message.get("args")
        reply: dict[str, Any] = {"number": number if isinstance(number, int) else 0}
        try:
            verb = self.answers.get(str(message["ask"]))
            if verb is None or not isinstance(arguments, list):
                raise LabError("The judge does not answer that.")
            if self.calling and message["ask"] != "back":  # a check is at work, and is not to be led away from it
                raise LabError("The judge does not answer that while a function of yours is called.")
            if message["ask"] == "check":
                handed = message.get("handed")
                arguments = [*arguments, handed if type(handed) is int and 0 <= handed <= 8 else 0]
            reply["answer"] = verb(*arguments)
            json.dumps(reply)
        except LabError as error:
            reply["refused"] = str(error)
        except (KernelEnded, ChannelTimeout):
            raise
        except Exception as error:
            if message["ask"] == "back":  # the judge's function, at what the learner's gave it
                reply["error"] = [type(error).__name__, clip(str(error))]
            else:
                reply["refused"] = "The judge cannot answer that."
        self.say(reply)

    def back(self, number: int, *arguments: Any) -> Any:
        """A function that was handed to a learner's function is called."""
        expect(number, int)
        if not 0 <= number < len(self.functions):
            raise LabError("There is no such function.")
        return self.functions[number](*arguments)

    def function(self, index: int) -> Callable[..., Any]:
        """A learner's function; called here, it runs there."""

        def call(*arguments: Any) -> Any:
            self.calls += 1
            mine = self.calls
            sent = [self.argument(each) for each in arguments]
            self.say({"do": "call", "function": index, "args": sent, "call": mine})
            self.calling = True
            try:
                reply = self.until("call", mine)
            except ChannelTimeout:
                self.interrupt()
                raise TimeoutError(f"no answer within {self.limits.cell:g} s") from None
            finally:
                self.calling = False
                self.functions = []
            if "error" in reply:
                name, text, told = (str(each) for each in [*reply["error"], "", "", ""][:3])
                kind = name if name.isidentifier() and len(name) < 60 else "Error"
                raise type(kind, (Exception,), {"told": clip(told)})(clip(text))
            return reply.get("value")

        return call

    def argument(self, value: Any) -> Any:
        if callable(value):
            self.functions.append(value)
            return {"$function": len(self.functions) - 1}
        return value


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_REASONS = {
    "0": "The kernel was ended by the code in a cell (exit code 0).",
    "-9": "The kernel was killed: by the code in a cell, or because it used too much memory.",
    "-24": "The kernel was ended: it had used up its processor time.",
    "-25": "The kernel was ended: it wrote too large a file.",
}


# --- the process --------------------------------------------------------------------------------------------------
def main() -> None:
    """The nursery. Where nothing can be mounted, each judge boots a cluster of its own: half a second each."""
    folder, chapter = Path(sys.argv[1]), syllabus.chapter(sys.argv[2])
    os.umask(0)
    template = folder / "template"
    template.mkdir()
    booted = Bench(chapter, template) if "--walled" in sys.argv and own_mounts() else None
    tasks.load(chapter, "")

    def work(message: dict[str, Any], files: list[int]) -> None:
        mine = folder / message["folder"]
        os.chdir(mine)
        os.environ["COURSE_HOME"] = str(mine)
        if booted:
            _copy(template / "nodes", mine / "nodes")
            put_in_place(mine / "nodes", template / "nodes")
        bench = booted or Bench(chapter, mine)
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        report, end, control = (socket.socket(fileno=each) for each in files[:3])
        for pipe in files[3:5]:
            os.set_blocking(pipe, False)
        grader = Channel(report, MAX_JOB)
        job = grader.receive()
        bench.open(job["learner"], mine)
        limits = Limits(**job["limits"])
        outputs = Outputs({files[3]: "stdout", files[4]: "stderr"}, limits.output)
        judge = Judge(bench, grader, Channel(end), outputs, control, limits)
        url = ""
        try:
            end.settimeout(GRACE * 4)
            _, doors = receive_files(end)
            if job["walled"]:
                bench.listen(socket.socket(fileno=doors[0]))
                url = f"https://127.0.0.1:{PORT}"
        except (OSError, EOFError, IndexError):
            judge.outputs.drain()  # nothing of the learner's has run: what was printed is about the sandbox
            judge.end(f"The kernel could not be started. {judge.outputs.text()}".strip())
        judge.run(job, job["environment"], url)

    tend({"ready": True}, work)


def _copy(source: Path, target: Path) -> None:
    """The nodes' files, for a learner to change: everybody here may write them, as a node's root may."""
    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile, symlinks=True)


if __name__ == "__main__":
    main()
