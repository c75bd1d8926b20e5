"""Programs whose behaviour is set: slow starts, leaks, crashes, hangs, on top of whatever the image's program does.

A Pod's annotation `simulator/behaviour` (or `simulator/behaviour.CONTAINER`) says what its containers shall do, for
example "start-after=20s, leak=10Mi/s" or "crash-after=1m, exit-code=3"; Faults.behave sets it for a container that
runs. A template can carry it, so that every replica, or every second version of a Deployment, misbehaves.

| word | what happens |
|---|---|
| start-after=20s | the program begins so much later: nothing listens before |
| memory=200Mi | it holds that much |
| leak=10Mi/s | it takes so much more every second |
| disk=5Gi, files=1M, processes=20k | it takes so much of the node's disk, inodes or process numbers |
| cpu=500m | it wants that much of a processor all the time |
| crash-after=1m | it ends after that time, with exit-code (1) |
| hang-after=30s | from then on connections are taken and never answered, SIGTERM is ignored |
| fail-after=30s | from then on every HTTP request is answered with 500 |
| answer-after=3s | every answer takes that long |
| ignore-sigterm | only SIGKILL ends it |
| log=TEXT, log-every=5s | it writes a line now and then |
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8s_core.api import quantity
from k8s_core.api.times import parse_duration
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import Response

if TYPE_CHECKING:
    from k8s_core.clock import Timer
    from k8s_core.kubelet.container import Container

ANNOTATION = "simulator/behaviour"
DURATIONS = ("start-after", "crash-after", "hang-after", "fail-after", "answer-after", "log-every")
TAKEN = {"disk": "disk", "files": "inodes", "processes": "pids"}
FOR_EVER = 1e9
LEAK_STEP = 1.0
"""Seconds between two looks at a leak."""


class BadBehaviour(ValueError):
    """The annotation cannot be read; the text says why."""


@dataclass(frozen=True)
class Behaviour:
    """What was asked for; seconds, bytes, processors."""

    start_after: float = 0.0
    crash_after: float | None = None
    hang_after: float | None = None
    fail_after: float | None = None
    answer_after: float = 0.0
    log_every: float = 5.0
    memory: int = 0
    leak: int = 0
    cpu: float = 0.0
    disk: int = 0
    files: int = 0
    processes: int = 0
    exit_code: int = 1
    log: str = ""
    ignore_sigterm: bool = False


def parse(text: str) -> Behaviour:
    """Read the annotation; raises BadBehaviour."""
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        try:
            found[name.replace("-", "_")] = _value(name, value, bool(equals))
        except ValueError as error:
            raise BadBehaviour(f'{ANNOTATION}: "{part}": {error or "not a value"}') from None
    return Behaviour(**found)


def _value(name: str, value: str, given: bool) -> Any:
    if name in DURATIONS:
        return parse_duration(value)
    if name in ("memory", *TAKEN):
        return quantity.value(value)
    if name == "leak":
        return quantity.value(value.removesuffix("/s"))
    if name == "cpu":
        return quantity.milli(value) / 1000
    if name == "exit-code":
        return int(value)
    if name == "log":
        return value
    if name == "ignore-sigterm" and not given:
        return True
    raise ValueError("there is no such behaviour")


def of(pod: dict[str, Any], container: str) -> str:
    """What a Pod's annotations say of one of its containers."""
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(f"{ANNOTATION}.{container}", annotations.get(ANNOTATION, "")))


def delayed(program: Command, seconds: float) -> Command:
    """The program, so much later."""

    def run(process: Process) -> Steps:
        yield seconds
        return (yield from program(process))

    return run if seconds else program


class Acting:
    """One container that behaves so, from now on until it ends."""

    def __init__(self, container: "Container", wanted: Behaviour) -> None:
        self.container, self.wanted, self.loop = container, wanted, container.loop
        self._timers: list[Timer] = []
        self._extra = 0
        container.on_exit.append(self.stop)
        process = container.init
        assert process is not None
        if wanted.memory:
            process.use_memory(wanted.memory)
        if container.machine is not None:
            container.machine.usage.held = {what: getattr(wanted, name) for name, what in TAKEN.items()}
        if wanted.cpu:
            process.work(wanted.cpu)
        if wanted.leak:
            self._every(LEAK_STEP, self._leak)
        if wanted.log:
            self._every(wanted.log_every, lambda: container.output(1, f"{wanted.log}\n".encode()))
        if wanted.ignore_sigterm:
            process.on_signal = lambda number: True
        for after, act in (
            (wanted.crash_after, self._crash),
            (wanted.hang_after, self._hang),
            (wanted.fail_after, lambda: self._answer(lambda before, request: Response(500, b"error\n"))),
        ):
            if after is not None:
                self._timers.append(self.loop.call_later(after, act, background=self._background()))
        if wanted.answer_after:
            self._answer(self._slowly)

    def _background(self) -> bool:
        machine = self.container.machine
        return machine is None or machine.background()

    def _every(self, period: float, act: Callable[[], None]) -> None:
        self._timers.append(self.loop.every(period, act))

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self.container.machine is not None:  # what it wrote stays until it is removed
            self.container.machine.usage.held.pop("pids", None)

    def _leak(self) -> None:
        process = self.container.init
        if process is not None and process.code is None:
            process.use_memory(process.memory + int(self.wanted.leak * LEAK_STEP))

    def _crash(self) -> None:
        self.container.exited(self.wanted.exit_code)

    def _hang(self) -> None:
        def never(before: Callable[[Any], Any], request: Any) -> Any:
            yield FOR_EVER

        self._answer(never)
        if self.container.init is not None:
            self.container.init.on_signal = lambda number: True

    def _slowly(self, before: Callable[[Any], Any], request: Any) -> Any:
        def answer() -> Any:
            yield self.wanted.answer_after
            found = before(request)
            return found if isinstance(found, Response | bytes) else (yield from found)

        return answer()

    def _answer(self, how: Callable[[Callable[[Any], Any], Any], Any]) -> None:
        if self.container.machine is not None:
            self.container.machine.answer = how
