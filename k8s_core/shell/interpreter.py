"""`sh`: runs what syntax.py parsed, as dash, ash and bash do where lessons can tell.

One Shell is one (sub)shell environment: variables, functions, options, traps, working directory. Commands run in
the foreground are driven by the shell's own task; pipelines and `&` start processes of their own. What a flavour
of shell says differently (`not found`) follows its flavour. Left out: job control, aliases, history.
"""

import fnmatch
from collections.abc import Generator
from dataclasses import replace

from k8s_core.shell import expand
from k8s_core.shell.builtins import BUILTINS, Leave
from k8s_core.shell.fs import Directory, File, FileError
from k8s_core.shell.parser import parse
from k8s_core.shell.pipes import Discard, Killed, Output, Pipe, Sink, Steps, Wait
from k8s_core.shell.process import BUSY_STEPS, SIGNALS, Command, Process
from k8s_core.shell.syntax import (
    Case,
    For,
    Function,
    Group,
    If,
    List,
    Node,
    Pipeline,
    Redirect,
    Simple,
    SyntaxFailure,
    While,
)
from k8s_core.shell.task import Task
from k8s_core.shell.traps import Traps
from k8s_core.shell.variables import Streams

MAX_CALLS = 60
"""Nested function calls, evals and sourced files before the shell gives up."""


class Shell(Traps):
    """One shell environment of a process."""

    def copy(self, process: Process | None = None) -> "Shell":
        """A subshell: sees everything, changes nothing here."""
        child = Shell(process or self.process, name=self.name, positional=list(self.positional))
        child.streams = self.streams if process is None else Streams(process.stdin, process.stdout, process.stderr)
        child.variables, child.exported = dict(self.variables), set(self.exported)
        child.functions, child.options = dict(self.functions), dict(self.options)
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
            last = len(item.rest)
            self._tested += bool(last)
            try:
                status = yield from self.run_pipeline(item.first)
                for index, (op, pipeline) in enumerate(item.rest):
                    if (op == "&&") == (status == 0):
                        self._tested -= index == last - 1
                        try:
                            status = yield from self.run_pipeline(pipeline)
                        finally:
                            self._tested += index == last - 1
            finally:
                self._tested -= bool(last)
        return self.status

    def run_pipeline(self, pipeline: Pipeline) -> Steps:
        self._steps += 1
        if self._steps >= BUSY_STEPS:
            self._steps = 0
            yield self.process.machine.busy()
        self._tested += pipeline.negated
        if len(pipeline.commands) == 1:
            status = yield from self.run_command(pipeline.commands[0])
        else:
            status = yield from self._run_stages(pipeline.commands)
        self._tested -= pipeline.negated
        self.status = int(not status) if pipeline.negated else status
        if self._pending:
            yield from self._run_traps()
        if self.options["e"] and self.status and not self._tested and not pipeline.negated:
            raise Leave("exit", self.status)
        return self.status

    def _run_stages(self, commands: list[Node]) -> Steps:
        processes: list[Process] = []
        stdin = self.streams.stdin
        for index, command in enumerate(commands):
            last = index == len(commands) - 1
            pipe = Pipe()
            stdout: Output = self.streams.stdout if last else pipe
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

    def fork(self, command: Node, stdin: Pipe, stdout: Output, stderr: Output | None = None) -> Process:
        """Run a command in a process of its own."""
        machine = self.process.machine
        child = Process(
            machine,
            list(self.process.argv),
            dict(self.process.env),
            self.process.cwd,
            stdin,
            stdout,
            stderr or self.streams.stderr,
            self.process,
        )
        shell = self.copy(child)

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
            if stdin is not self.streams.stdin:
                stdin.reader_gone = True
            child.exit(code)

        child.task, child.own_task = Task(machine.loop, program(), done, child.background), True
        return child

    def _start_background(self, item: List) -> None:
        node: Node = Group(item, False)
        if len(item) == 1 and not item[0].rest and len(item[0].first.commands) == 1 and not item[0].first.negated:
            node = item[0].first.commands[0]
        process = self.fork(node, Pipe(closed=True), self.streams.stdout)
        self.last_background = process.pid
        self.children[process.pid] = process

    def capture(self, body: List) -> Generator[Wait, None, str]:
        """What a command substitution writes."""
        collected = bytearray()

        def collect(data: bytes) -> None:
            if len(collected) < expand.MAX_TEXT:
                collected.extend(data)

        child = self.copy()
        cwd = self.process.cwd
        child.streams = replace(self.streams, stdout=Sink(collect))
        try:
            self.status = yield from child.run_list(body)
        except Leave as leave:
            self.status = leave.value
        self.process.cwd = cwd
        return collected.decode(errors="replace")

    # --- commands -------------------------------------------------------------------------------------------
    def run_command(self, command: Node, *, replacing: bool = False) -> Steps:
        """Run one command with its redirects; `replacing`: it is the process's last, so it may take its place."""
        before = self.streams
        try:
            for redirect in command.redirects:
                yield from self._redirect(redirect)
            if isinstance(command, Simple):
                keep = bool(command.words) and (command.words[0].literal() == "exec") and len(command.words) == 1
                status = yield from self._simple(command, replacing)
                if keep:
                    before = self.streams
                return status
            return (yield from self._compound(command))
        except (FileError, expand.ExpansionError) as error:
            self.complain(str(error))
            if isinstance(error, expand.ExpansionError) and not self.interactive:
                raise Leave("exit", 2) from None
            return 1
        finally:
            self.streams = before

    def _compound(self, command: Node) -> Steps:
        if isinstance(command, If):
            for condition, body in command.branches:
                if (yield from self._condition(condition)) == 0:
                    return (yield from self.run_list(body))
            return (yield from self.run_list(command.otherwise)) if command.otherwise else 0
        if isinstance(command, While):
            status = 0
            while ((yield from self._condition(command.condition)) == 0) != command.until:
                stop, status = yield from self._loop_body(command.body)
                if stop:
                    break
            return status
        if isinstance(command, For):
            words = list(self.positional) if command.words is None else (yield from expand.fields(self, command.words))
            status = 0
            for word in words:
                self.set(command.name, word)
                stop, status = yield from self._loop_body(command.body)
                if stop:
                    break
            return status
        if isinstance(command, Case):
            value = yield from expand.text(self, command.word)
            for patterns, body in command.items:
                for pattern in patterns:
                    if fnmatch.fnmatchcase(value, (yield from expand.pattern(self, pattern))):
                        return (yield from self.run_list(body)) if body else 0
            return 0
        if isinstance(command, Function):
            self.functions[command.name] = command.body
            return 0
        assert isinstance(command, Group)
        if not command.subshell:
            return (yield from self.run_list(command.body))
        child, cwd = self.copy(), self.process.cwd
        try:
            return (yield from child.run_list(command.body))
        except Leave as leave:
            return leave.value
        finally:
            self.process.cwd = cwd

    def _condition(self, body: List) -> Steps:
        self._tested += 1
        try:
            return (yield from self.run_list(body))
        finally:
            self._tested -= 1

    def _loop_body(self, body: List) -> Generator[Wait, None, tuple[bool, int]]:
        try:
            return False, (yield from self.run_list(body))
        except Leave as leave:
            if leave.kind not in ("break", "continue"):
                raise
            if leave.value > 1:
                leave.value -= 1
                raise
            return leave.kind == "break", 0

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
            self.streams.stderr.write(
                ("+ " + " ".join([f"{k}={v}" for k, v in assigned.items()] + words) + "\n").encode()
            )
        if not words:
            return status
        words[:1] = self.process.machine.aliases.get(words[0], words[:1])
        name = words[0]
        if name in self.functions:
            return (yield from self._call(self.functions[name], words[1:], assigned))
        builtin = BUILTINS.get(name)
        if builtin:
            self.variables |= assigned
            return (yield from builtin(self, words))
        environment = self.environment() | assigned
        return (yield from self.execute(words, environment, replacing))

    def _call(self, body: Node, arguments: list[str], assigned: dict[str, str]) -> Steps:
        self._enter()
        positional, self.positional = self.positional, arguments
        self.variables |= assigned
        try:
            return (yield from self.run_command(body))
        except Leave as leave:
            if leave.kind != "return":
                raise
            return leave.value
        finally:
            self.positional = positional
            self._calls -= 1

    def _enter(self) -> None:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise expand.ExpansionError("maximum function nesting level exceeded")

    def execute(self, words: list[str], environment: dict[str, str], replacing: bool = False) -> Steps:
        """Run a program that is not part of the shell."""
        process, machine = self.process, self.process.machine
        command = machine.find(words[0])
        if command is None:
            code, command = self._script(words)
            if command is None:
                return code
            words = ["sh", *words]
        if replacing and not self.traps and not self.children:
            process.argv, process.env = words, environment
            process.stdin, process.stdout, process.stderr = (
                self.streams.stdin,
                self.streams.stdout,
                self.streams.stderr,
            )
            return (yield from command(process))
        return (
            yield from process.run(
                words,
                env=environment,
                stdin=self.streams.stdin,
                stdout=self.streams.stdout,
                stderr=self.streams.stderr,
            )
        )

    def _script(self, words: list[str]) -> tuple[int, Command | None]:
        name = words[0]
        bash = self.flavour == "bash"
        if "/" in name:
            node = self.process.fs.lookup(name, self.process.cwd)
            if isinstance(node, Directory):
                self.complain(f"{name}: {'Is a directory' if bash else 'Permission denied'}")
                return 126, None
            if isinstance(node, File):
                if not node.mode & 0o111:
                    self.complain(f"{name}: Permission denied")
                    return 126, None
                if node.read()[:4] != b"\x7fELF":
                    return 127, self.process.machine.find("sh")
            self.complain(f"{name}: {'No such file or directory' if bash else 'not found'}")
            return 127, None
        self.complain(f"{name}: {'command not found' if bash else 'not found'}")
        return 127, None

    def _redirect(self, redirect: Redirect) -> Generator[Wait, None, None]:
        target = yield from expand.text(self, redirect.target)
        streams = self.streams
        if redirect.op == "<<":
            self.streams = replace(streams, stdin=Pipe(target.encode(), closed=True))
            return
        if redirect.op in ("<&", ">&"):
            if target == "-":
                output: Output = Discard()
            elif target in ("1", "2"):
                output = streams.stdout if target == "1" else streams.stderr
            elif target == "0":
                return
            else:
                raise FileError(f"{target}: bad file descriptor")
        elif redirect.op in ("<", "<>"):
            try:
                self.streams = replace(streams, stdin=self.process.open_input(target))
            except FileError as error:
                reason = str(error)
                if self.flavour != "bash":
                    reason = f"can't open {target}: " + reason.lower().replace(
                        "no such file or directory", "no such file"
                    )
                    raise FileError(reason) from None
                raise FileError(f"{target}: {reason}") from None
            return
        else:
            try:
                output = self._standard(target) or self.process.open_output(target, append=redirect.op == ">>")
            except FileError as error:
                reason = str(error)
                if self.flavour != "bash":
                    reason = reason.replace("No such file or directory", "nonexistent directory")
                    raise FileError(f"can't create {target}: {reason}") from None
                raise FileError(f"{target}: {reason}") from None
        if redirect.fd == 99:
            self.streams = replace(streams, stdout=output, stderr=output)
        elif redirect.fd == 2:
            self.streams = replace(streams, stderr=output)
        elif redirect.fd == 1:
            self.streams = replace(streams, stdout=output)

    def _standard(self, target: str) -> Output | None:
        if target in ("/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"):
            return self.streams.stdout
        if target in ("/dev/stderr", "/proc/self/fd/2", "/dev/fd/2"):
            return self.streams.stderr
        return Discard() if target == "/dev/null" else None
