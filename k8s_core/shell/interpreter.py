"""`sh`: runs what syntax.py parsed, as dash, ash and bash do where lessons can tell.

One Shell is one (sub)shell environment: variables, functions, options, traps, working directory. Commands run in
the foreground are driven by the shell's own task; pipelines and `&` start processes of their own. What a flavour
of shell says differently (`not found`) follows its flavour. Left out: job control, aliases, history.
"""

import fnmatch
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from k8s_core.shell import expand
from k8s_core.shell.builtins import BUILTINS, Leave
from k8s_core.shell.fs import Directory, File, FileError
from k8s_core.shell.process import (
    BUSY_STEPS,
    SIGNALS,
    BrokenPipe,
    Discard,
    Killed,
    Output,
    Pipe,
    Process,
    Sink,
    Steps,
    Task,
    Wait,
    Waiters,
)
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
    parse,
)

MAX_CALLS = 60
"""Nested function calls, evals and sourced files before the shell gives up."""


@dataclass(frozen=True, slots=True)
class Streams:
    stdin: Pipe
    stdout: Output
    stderr: Output


class Shell:
    """One shell environment of a process."""

    def __init__(self, process: Process, *, name: str = "", positional: list[str] | None = None) -> None:
        self.process = process
        self.streams = Streams(process.stdin, process.stdout, process.stderr)
        self.name = name or process.argv[0]
        self.positional = positional or []
        self.variables = dict(process.env)
        self.exported = set(process.env)
        self.functions: dict[str, Node] = {}
        self.options = {"e": False, "u": False, "x": False, "f": False}
        self.status = 0
        self.traps: dict[str, str] = {}
        self.last_background = 0
        self.children: dict[int, Process] = {}
        self.interactive = False
        self._pending: list[str] = []
        self._signalled = Waiters()
        self._steps = self._calls = self._tested = 0

    @property
    def flavour(self) -> str:
        """Whose words it speaks: ash, dash or bash."""
        return "bash" if self.process.argv[0].rsplit("/", 1)[-1].lstrip("-") == "bash" else self.process.machine.shell

    # --- variables ------------------------------------------------------------------------------------------
    def get(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)

    def set(self, name: str, value: str) -> None:
        self.variables[name] = value

    def lookup(self, name: str) -> str | None:
        """The value of a variable or special parameter; None if unset."""
        if name.isdigit():
            number = int(name)
            if number == 0:
                return self.name
            return self.positional[number - 1] if number <= len(self.positional) else None
        if name in ("@", "*"):
            return " ".join(self.positional)
        if name == "#":
            return str(len(self.positional))
        if name == "?":
            return str(self.status)
        if name == "$":
            return str(self.process.pid)
        if name == "!":
            return str(self.last_background) if self.last_background else ""
        if name == "-":
            return "".join(o for o, on in self.options.items() if on)
        if name == "RANDOM" and name not in self.variables:
            return str(self.process.machine.loop.random.randrange(32768))
        if name == "PWD":
            return self.process.cwd
        return self.variables.get(name)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.variables if name in self.exported}

    def complain(self, message: str) -> None:
        flavour = self.flavour
        line = "" if self.interactive or flavour == "ash" else "line 1: " if flavour == "bash" else "1: "
        name = self.name.rsplit("/", 1)[-1].lstrip("-")
        self.streams.stderr.write(f"{name}: {line}{message}\n".encode())

    def copy(self, process: Process | None = None) -> "Shell":
        """A subshell: sees everything, changes nothing here."""
        child = Shell(process or self.process, name=self.name, positional=list(self.positional))
        child.streams = self.streams if process is None else Streams(process.stdin, process.stdout, process.stderr)
        child.variables, child.exported = dict(self.variables), set(self.exported)
        child.functions, child.options = dict(self.functions), dict(self.options)
        child.status, child.last_background = self.status, self.last_background
        child._calls, child._tested = self._calls, self._tested
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

        child.task, child.own_task = Task(machine.loop, program(), done, machine.background), True
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
            words = (
                list(self.positional) if command.words is None else (yield from expand.fields(self, command.words))
            )
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
            code, script = self._script(words)
            if script is None:
                return code
            command = script
        if replacing and not self.traps and not self.children:
            process.argv, process.env = words, environment
            process.stdin, process.stdout, process.stderr = (
                self.streams.stdin,
                self.streams.stdout,
                self.streams.stderr,
            )
            return (yield from command(process))
        child_words = ["sh", *words] if command is sh and machine.find(words[0]) is None else words
        if machine.find(child_words[0]) is None:
            return 127
        status = yield from process.run(
            child_words,
            env=environment,
            stdin=self.streams.stdin,
            stdout=self.streams.stdout,
            stderr=self.streams.stderr,
        )
        return status

    def _script(self, words: list[str]) -> tuple[int, Callable[[Process], Steps] | None]:
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
                    return 0, sh
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

    # --- traps ----------------------------------------------------------------------------------------------
    def set_trap(self, name: str, action: str | None) -> None:
        """What a signal (or EXIT) does from now on; None for the default, "" to ignore it."""
        if action is None:
            self.traps.pop(name, None)
        else:
            self.traps[name] = action
        names = {SIGNALS[n]: n for n in self.traps if n in SIGNALS}

        def handler(number: int) -> bool:
            if number not in names:
                return False
            if self.traps[names[number]]:
                self._pending.append(names[number])
                self._signalled.notify()
            return True

        self.process.on_signal = handler if names else None

    def _run_traps(self) -> Generator[Wait, None, None]:
        pending, self._pending = self._pending, []
        for name in pending:
            status = self.status
            yield from self.run_text(self.traps.get(name, ""))
            self.status = status

    def wait_for(self, processes: list[Process]) -> Steps:
        """The wait builtin: until all have ended or a trapped signal comes."""
        code = 0
        for process in processes:
            waker = process.exited
            while process.code is None:
                if self._pending:
                    yield from self._run_traps()
                    return 143
                # whichever comes first wakes us: the child's end or a signal
                both = Waiters()
                _chain(waker, both)
                _chain(self._signalled, both)
                yield both
            code = process.code
        return code

    def run_exit_trap(self, status: int) -> Steps:
        action = self.traps.pop("EXIT", "")
        if action:
            self.status = status
            try:
                yield from self.run_text(action)
            except Leave as leave:
                return leave.value
        return status


class _Relay:
    """A stand-in task: passes a wake-up on to other waiters."""

    def __init__(self, target: Waiters) -> None:
        self._target = target

    def wake(self) -> None:
        self._target.notify()


def _chain(source: Waiters, target: Waiters) -> None:
    source.add(_Relay(target))  # type: ignore[arg-type]  # a Task as far as Waiters goes: it has wake()


def sh(process: Process) -> Steps:
    """The sh command: `sh`, `sh -c text [name args]`, `sh file args`, `sh -i`."""
    arguments = process.argv[1:]
    options = {"e": False, "u": False, "x": False, "f": False}
    from_text = interactive = False
    while arguments and arguments[0][:1] in "-+" and len(arguments[0]) > 1:
        flag = arguments.pop(0)
        if flag == "--":
            break
        if flag in ("-o", "+o") and arguments:
            arguments.pop(0)
            continue
        from_text |= "c" in flag and not flag.startswith("--")
        interactive |= "i" in flag and not flag.startswith("--")
        for option in options:
            if option in flag and not flag.startswith("--"):
                options[option] = flag[0] == "-"
    if from_text and not arguments:
        return process.fail(
            "-c requires an argument" if process.machine.shell == "ash" else "-c: option requires an argument", 2
        )
    shell = Shell(process, name=process.argv[0])
    shell.options |= options
    status = 0
    try:
        if from_text:
            shell.name, shell.positional = (arguments[1] if len(arguments) > 1 else process.argv[0]), arguments[2:]
            status = yield from _run_program(shell, arguments[0])
        elif arguments:
            try:
                text = process.fs.read(arguments[0], process.cwd).decode(errors="replace")
            except FileError:
                return process.fail(f"can't open '{arguments[0]}': No such file or directory", 2)
            shell.name, shell.positional = arguments[0], arguments[1:]
            status = yield from shell.run_text(text)
        else:
            shell.interactive = interactive or process.tty
            status = yield from _read_commands(shell)
    except Leave as leave:
        status = leave.value
    except BrokenPipe:
        status = 141
    return (yield from shell.run_exit_trap(status))


def _run_program(shell: Shell, text: str) -> Steps:
    """`sh -c`: a single simple command takes the shell's place, as ash, dash and bash do it."""
    try:
        body = parse(text)
    except SyntaxFailure as error:
        shell.complain(str(error))
        return 2
    if body and not body[-1].rest and not body[-1].background and not body[-1].first.negated:
        commands = body[-1].first.commands
        if len(body) == 1 and len(commands) == 1 and isinstance(commands[0], Simple):
            return (yield from shell.run_command(commands[0], replacing=True))
    return (yield from shell.run_list(body))


def _prompt(shell: Shell, more: bool) -> str:
    machine, cwd = shell.process.machine, shell.process.cwd
    if more:
        return "> "
    end = "#" if machine.uid == 0 else "$"
    home = shell.get("HOME", "/root")
    shown = "~" if cwd == home else cwd
    if shell.flavour == "bash":
        return f"{machine.user}@{machine.hostname}:{shown}{end} "
    return f"{shown} {end} " if shell.flavour == "ash" else f"{end} "


def _read_commands(shell: Shell) -> Steps:
    process, pending = shell.process, ""
    while True:
        if shell.interactive:
            shell.streams.stderr.write(_prompt(shell, bool(pending)).encode())
        try:
            line = (yield from process.stdin.read_line()).decode(errors="replace")
            if not line and not pending:
                if shell.interactive and shell.flavour == "bash":
                    shell.streams.stderr.write(b"exit\n")
                break
            text = pending + line
            try:
                body = parse(text)
            except SyntaxFailure as error:
                if error.incomplete and line:
                    pending = text
                    continue
                shell.complain(str(error))
                shell.status, pending = 2, ""
                continue
            pending = ""
            process.machine.rested()
            yield from shell.run_list(body)
        except Killed as killed:
            if killed.signal != SIGNALS["INT"] or killed.process is process:
                raise
            pending, shell.status = "", 130
        except Leave as leave:
            if leave.kind == "exit":
                raise
    return shell.status
