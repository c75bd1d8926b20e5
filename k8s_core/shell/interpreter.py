"""`sh`: runs what syntax.py describes, as dash, ash and bash do where lessons can tell.

One Shell is one (sub)shell environment: variables, functions, options, traps, open files, working directory. Commands
run in the foreground are driven by the shell's own task; pipelines and `&` start processes of their own. What a flavour
of shell says differently (`not found`) follows its flavour. Left out: job control, history.
"""

import fnmatch
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from k8s_core.shell import expand
from k8s_core.shell.arithmetic import ExpansionError
from k8s_core.shell.builtins import BUILTINS, Leave
from k8s_core.shell.fs import FileError
from k8s_core.shell.parser import parse
from k8s_core.shell.pipes import Killed, Output, Pipe, Sink, Steps, Wait
from k8s_core.shell.process import BUSY_STEPS, SIGNALS, Process
from k8s_core.shell.programs import execute, redirect
from k8s_core.shell.syntax import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    Pipeline,
    Simple,
    SyntaxFailure,
    While,
)  # fmt: skip
from k8s_core.shell.task import Task
from k8s_core.shell.traps import Traps

MAX_CALLS = 60
"""Nested function calls, evals and sourced files before the shell gives up."""


class Shell(Traps):
    """One shell environment of a process."""

    def copy(self, process: Process | None = None) -> "Shell":
        """A subshell: sees everything, changes nothing here."""
        child = Shell(process or self.process, name=self.name, positional=list(self.positional))
        child.fds = self.fds | (child.fds if process else {})
        child.variables, child.exported = dict(self.variables), set(self.exported)
        child.functions, child.options = dict(self.functions), dict(self.options)
        child.scopes = [dict(scope) for scope in self.scopes]
        child.status, child.last_background = self.status, self.last_background
        child._calls, child._tested = self._calls, self._tested
        child.interactive = self.interactive
        return child

    # --- running --------------------------------------------------------------------------------------------
    def run_text(self, text: str) -> Steps:
        """Parse and run; a syntax error is complained about and gives 2."""
        try:
            body = parse(text)
        except SyntaxFailure as error:
            self.complain(str(error))
            return 2
        return (yield from self.run_list(body))

    def run_list(self, body: List) -> Steps:
        for item in body:
            if item.background:
                self._start_background([replace(item, background=False)])
                self.status = 0
                continue
            steps = [("", item.first), *item.rest]
            for index, (op, pipeline) in enumerate(steps):
                if op and (op == "&&") != (self.status == 0):
                    continue
                with self._testing(index < len(steps) - 1):
                    yield from self.run_pipeline(pipeline)
        return self.status

    @contextmanager
    def _testing(self, on: bool = True) -> Iterator[None]:
        """While a command's failure is looked at, `set -e` lets it pass."""
        self._tested += on
        try:
            yield
        finally:
            self._tested -= on

    def run_pipeline(self, pipeline: Pipeline) -> Steps:
        self._steps += 1
        if self._steps >= BUSY_STEPS:
            self._steps = 0
            yield self.process.machine.busy()
        with self._testing(pipeline.negated):
            if len(pipeline.commands) == 1:
                status = yield from self.run_command(pipeline.commands[0])
            else:
                status = yield from self._run_stages(pipeline.commands)
        self.status = int(not status) if pipeline.negated else status
        if self._pending:
            yield from self._run_traps()
        if self.options["e"] and self.status and not self._tested and not pipeline.negated:
            raise Leave("exit", self.status)
        return self.status

    def _run_stages(self, commands: list[Command]) -> Steps:
        processes: list[Process] = []
        stdin = self.stdin
        for command in commands:
            pipe = Pipe()
            stdout = self.fds[1] if command is commands[-1] else pipe
            processes.append(self.fork(command, stdin, stdout))
            stdin = pipe
        try:
            for process in processes:
                yield from process.wait()
        except Killed:
            for process in processes:
                process.signal(SIGNALS["KILL"])
            raise
        return processes[-1].code or 0

    def fork(self, command: Command, stdin: Pipe, stdout: Output) -> Process:
        """Run a command in a process of its own."""
        process = self.process.child(list(self.process.argv), dict(self.process.env), stdin, stdout, self.fds[2])
        shell = self.copy(process)

        def program() -> Steps:
            try:
                return (yield from shell.run_command(command, replacing=True))
            except Leave as leave:
                return leave.value
            except FileError as error:
                shell.complain(str(error))
                return 1

        def done(code: int) -> None:
            if isinstance(stdout, Pipe):
                stdout.close()
            if stdin is not self.fds[0]:
                stdin.reader_gone = True
            process.exit(code)

        process.task, process.own_task = Task(process.machine.loop, program(), done, process.background), True
        return process

    def _start_background(self, item: List) -> None:
        command = item[0].alone() or Group(item, False)
        process = self.fork(command, Pipe(closed=True), self.fds[1])
        self.last_background = process.pid
        self.children[process.pid] = process

    def capture(self, body: List) -> Generator[Wait, None, str]:
        """What a command substitution writes."""
        collected = bytearray()

        def collect(data: bytes) -> None:
            if len(collected) < expand.MAX_TEXT:
                collected.extend(data)

        self.status = yield from self._run_below(body, {1: Sink(collect)})
        return collected.decode(errors="replace")

    def _run_below(self, body: List, fds: dict[int, Output]) -> Steps:
        """Run commands in a subshell of the same process."""
        child, cwd = self.copy(), self.process.cwd
        child.fds |= fds
        try:
            return (yield from child.run_list(body))
        except Leave as leave:
            return leave.value
        finally:
            self.process.cwd = cwd

    # --- commands -------------------------------------------------------------------------------------------
    def run_command(self, command: Command, *, replacing: bool = False) -> Steps:
        """Run one command with its redirects; `replacing`: it is the process's last, so it may take its place."""
        before = self.fds
        try:
            for wanted in command.redirects:
                yield from redirect(self, wanted)
            if isinstance(command, Simple) and [word.literal() for word in command.words] == ["exec"]:
                before = self.fds  # they stay as they are now
            return (yield from self._run(command, replacing))
        except (FileError, ExpansionError) as error:
            self.complain(str(error))
            if isinstance(error, ExpansionError) and not self.interactive:
                raise Leave("exit", 2) from None
            return 1
        finally:
            self.fds = before

    def _run(self, command: Command, replacing: bool) -> Steps:
        match command:
            case Simple():
                return (yield from self._simple(command, replacing))
            case If(branches, otherwise):
                for condition, body in branches:
                    if (yield from self._condition(condition)) == 0:
                        return (yield from self.run_list(body))
                return (yield from self.run_list(otherwise)) if otherwise else 0
            case While() | For():
                return (yield from self._loop(command))
            case Case(word, items):
                value = yield from expand.text(self, word)
                for patterns, body in items:
                    for pattern in patterns:
                        if fnmatch.fnmatchcase(value, (yield from expand.pattern(self, pattern))):
                            return (yield from self.run_list(body)) if body else 0
            case Function(name, body):
                self.functions[name] = body
            case Group(body, subshell):
                return (yield from self._run_below(body, {}) if subshell else self.run_list(body))
        return 0

    def _condition(self, body: List) -> Steps:
        with self._testing():
            return (yield from self.run_list(body))

    def _loop(self, command: While | For) -> Steps:
        status, left = 0, list[str]()
        if isinstance(command, For):
            words = list(self.positional) if command.words is None else (yield from expand.fields(self, command.words))
            left = words[::-1]
        while True:
            if isinstance(command, For):
                if not left:
                    return status
                self.set(command.name, left.pop())
            elif ((yield from self._condition(command.condition)) == 0) == command.until:
                return status
            try:
                status = yield from self.run_list(command.body)
            except Leave as leave:
                if leave.kind not in ("break", "continue"):
                    raise
                if leave.value > 1:
                    leave.value -= 1
                    raise
                status = 0
                if leave.kind == "break":
                    return 0
            if isinstance(command, While) and command.step:
                yield from self.run_list(command.step)

    def _simple(self, command: Simple, replacing: bool) -> Steps:
        words = yield from expand.fields(self, command.words)
        assigned: dict[str, str] = {}
        status = 0
        for name, word in command.assignments:
            self.status = 0
            assigned[name] = yield from expand.text(self, word)
            status = self.status
            if not words:
                self.set(name, assigned[name])
        if self.options["x"]:
            self.err("+ " + " ".join([*(f"{name}={value}" for name, value in assigned.items()), *words]) + "\n")
        if not words:
            return status
        words[:1] = self.process.machine.aliases.get(words[0], words[:1])
        name = words[0]
        if name not in self.functions and name not in BUILTINS:
            return (yield from execute(self, words, self.environment() | assigned, replacing=replacing))
        before = dict(self.variables)
        self.variables |= assigned
        if name in self.functions:
            return (yield from self._call(self.functions[name], words[1:]))
        result = BUILTINS[name](self, words)
        status = ((yield from result) if isinstance(result, Generator) else result) or 0
        for each in assigned if name == "read" else ():  # IFS=: read a b
            self.variables.pop(each)
            self.variables |= {each: before[each]} if each in before else {}
        return status

    def _call(self, body: Command, arguments: list[str]) -> Steps:
        self.enter()
        positional, self.positional = self.positional, arguments
        self.scopes.append({})
        try:
            return (yield from self.run_command(body))
        except Leave as leave:
            if leave.kind != "return":
                raise
            return leave.value
        finally:
            self.positional = positional
            for name, value in self.scopes.pop().items():
                self.variables.pop(name, None)
                self.variables |= {name: value} if value is not None else {}
            self.leave()

    def enter(self) -> None:
        """A call, an eval or a sourced file begins; raises ExpansionError when there are too many."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ExpansionError("maximum function nesting level exceeded")

    def leave(self) -> None:
        self._calls -= 1
