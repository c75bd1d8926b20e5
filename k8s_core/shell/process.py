"""Simulated processes: generators that the loop drives, with pipes, signals and a process table per machine.

Stands for the kernel's scheduler. A process yields a number (sleep so many virtual seconds) or a Waiters (sleep
until notified) and returns its exit code. Busy loops are slowed down more and more, so that no script can hold
the loop. PID 1 of a machine ignores signals it has no handler for, as Linux does.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8s_core.shell.fs import Device, Directory, File, FileError, FileSystem, Node
from k8s_core.shell.pipes import BrokenPipe, Discard, FileOutput, Killed, Output, Pipe, Steps, Wait, Waiters
from k8s_core.shell.task import Task

if TYPE_CHECKING:
    from k8s_core.clock import Loop

SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "PIPE": 13, "TERM": 15, "CHLD": 17, "CONT": 18,
    "STOP": 19, "WINCH": 28,
}  # fmt: skip
BUSY_STEPS = 200
"""Commands a script may run before it must let time pass."""
BUSY_LONGEST = 60.0
MAX_PROCESSES = 500
"""Processes a machine can have (a Pod's PID limit); a fork bomb meets it."""


Command = Callable[["Process"], Steps]
"""A program: reads process.argv, env, stdin ... and returns its exit code."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ps. `cpu` is processor seconds used so far, `memory` bytes."""

    user: str
    pid: int
    parent: int
    started: float
    tty: bool
    argv: list[str]
    memory: int
    cpu: float = 0.0


def row(process: "Process", pid: int, parent: int) -> Row:
    return Row(
        process.machine.user, pid, parent, process.started, process.tty, process.argv, process.memory, process.cpu
    )


class Machine:
    """What a process sees of the world: a container, or a node. Later parts subclass or fill it."""

    def __init__(self, loop: "Loop", hostname: str, commands: Mapping[str, Command], *, user: str = "root") -> None:
        self.loop, self.hostname, self.commands, self.user = loop, hostname, commands, user
        self.uid = self.gid = 0 if user == "root" else 1000
        self.path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.bin = "/bin"  # where its programs are said to be
        self.shell = "ash"  # which prompt and error words: ash, dash or bash
        self.aliases: Mapping[str, list[str]] = {}  # of its shells
        self.host_pids: Iterator[int] | None = None  # where the node takes its process numbers from
        self.processes: dict[int, Process] = {}
        self.network: Any = None  # a network namespace (sockets.NetworkNamespace)
        self.extra: dict[str, Any] = {}  # what some commands need: the runtime on a node, etcd in its Pod
        self.started = loop.now
        self._next_pid = 1
        self._fs: FileSystem | None = None
        self._busy = 0

    def build_fs(self) -> FileSystem:
        """Makes the file tree when first looked at; most containers' never is."""
        return FileSystem(Directory(), lambda: self.loop.now)

    @property
    def fs(self) -> FileSystem:
        if self._fs is None:
            self._fs = self.build_fs()
        return self._fs

    def background(self) -> bool:
        """Whether sleeping processes here keep time running for a waiting client."""
        return True

    def next_pid(self) -> int:
        pid, self._next_pid = self._next_pid, self._next_pid + 1
        return pid

    def serving(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A server's handler as its clients meet it."""
        return handler

    def account(self) -> None:
        """A process's load is about to change, or has changed."""

    def grown(self, process: "Process") -> None:
        """A process holds more memory."""

    def left(self, what: str) -> tuple[int, int]:
        """(how much its node has, how much of that is left) of "disk" (bytes) and "inodes"."""
        return 1 << 30, 1 << 30

    def rows(self) -> "list[Row]":
        """What ps shows."""
        return [row(p, p.pid, p.parent.pid if p.parent else 0) for p in self.processes.values()]

    def process(self, pid: int) -> "Process | None":
        """Whom a signal to that number reaches."""
        return self.processes.get(pid)

    def find(self, name: str) -> Command | None:
        """The program a name or path stands for, or None."""
        if "/" in name:
            folder, _, base = name.rpartition("/")
            return self.commands.get(base) if folder in self.path.split(":") or folder == "/usr/local/bin" else None
        return self.commands.get(name)

    def start(
        self,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: str = "/",
        stdin: Pipe | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
        program: Command | None = None,
        parent: "Process | None" = None,
        on_exit: Callable[[int], None] | None = None,
        tty: bool = False,
        attended: bool = False,
    ) -> "Process":
        """Start a process of its own; `on_exit(code)` is called from the loop. The program must exist (see find).

        Somebody waits for an `attended` one (exec): its sleeps, and its children's, keep time running.
        """
        process = Process(
            self, argv, env, cwd, stdin or Pipe(closed=True), stdout or Discard(), stderr or Discard(), parent
        )
        process.tty = tty or bool(parent and parent.tty)
        process.attended = attended or process.attended
        command = program or self.find(argv[0])
        assert command is not None

        def finished(code: int) -> None:
            process.exit(code)
            if on_exit:
                on_exit(code)

        process.task = Task(self.loop, command(process), finished, process.background)
        process.own_task = True
        return process

    def kill_all(self) -> None:
        """SIGKILL everything (PID 1 is gone, or the machine is)."""
        for process in list(self.processes.values()):
            if process.task and process.own_task:
                process.task.cancel()
            process.exit(137)

    def busy(self) -> float:
        """How long a script that never sleeps is held up, the longer the longer it goes on."""
        self._busy = min(self._busy + 1, 20)
        return min(0.001 * (1 << self._busy), BUSY_LONGEST)

    def rested(self) -> None:
        self._busy = 0


class Process:
    """An entry of the process table: what its program may use and what others see of it."""

    def __init__(
        self,
        machine: Machine,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        stdin: Pipe,
        stdout: Output,
        stderr: Output,
        parent: "Process | None" = None,
    ) -> None:
        if len(machine.processes) >= MAX_PROCESSES:
            raise FileError("can't fork: Resource temporarily unavailable")
        self.machine, self.argv, self.env, self.cwd = machine, argv, env, cwd
        self.stdin, self.stdout, self.stderr, self.parent = stdin, stdout, stderr, parent
        self.attended: bool = bool(parent and parent.attended)
        self.pid = machine.next_pid()
        self.host_pid = next(machine.host_pids) if machine.host_pids else self.pid
        """Its number as its node sees it."""
        self.started = machine.loop.now
        self.task: Task | None = parent.task if parent else None
        self.own_task = False
        self.tty: bool = parent.tty if parent else False
        self.code: int | None = None
        self.status = 0
        """The exit code of its last complaint."""
        self.exited = Waiters()
        self.on_signal: Callable[[int], bool] | None = None  # returns whether the signal was handled
        self.memory = 1 << 20
        self.load = self.cpu = 0.0
        """Processors it keeps busy, and processor seconds used so far."""
        self.at_exit: list[Callable[[], None]] = []
        machine.processes[self.pid] = self

    def background(self) -> bool:
        """Whether this process' sleeps may wait until time passes by itself."""
        return not self.attended and self.machine.background()

    @property
    def fs(self) -> FileSystem:
        return self.machine.fs

    @property
    def name(self) -> str:
        return self.argv[0].rsplit("/", 1)[-1]

    @property
    def ash(self) -> bool:
        """Whether busybox's words are spoken here."""
        return self.machine.shell == "ash"

    def lookup(self, path: str, *, follow: bool = True) -> Node | None:
        """What is at a path, seen from its working directory."""
        return self.fs.lookup(path, self.cwd, follow=follow)

    def read(self, path: str) -> bytes:
        """A file's content; raises FileError."""
        return self.fs.read(path, self.cwd)

    def print(self, *lines: object) -> None:
        self.out("".join(f"{line}\n" for line in lines))

    def out(self, text: str | bytes) -> None:
        self.stdout.write(text.encode() if isinstance(text, str) else text)

    def err(self, text: str | bytes) -> None:
        self.stderr.write(text.encode() if isinstance(text, str) else text)

    def fail(self, message: str, code: int = 1) -> int:
        """`name: message` on stderr; the exit code, given back, unless the program ends with another."""
        self.err(f"{self.name}: {message}\n")
        self.status = code
        return code

    def work(self, processors: float) -> None:
        """From now on keep so many processors busy."""
        self.machine.account()
        self.load = processors
        self.machine.account()

    def use_memory(self, size: int) -> None:
        """From now on hold so many bytes; may be the end of the container."""
        self.memory = size
        self.machine.grown(self)

    def exit(self, code: int) -> None:
        """Leave the process table."""
        if self.code is not None:
            return
        if self.load:
            self.work(0.0)
        self.code = code
        self.machine.processes.pop(self.pid, None)
        for clean in self.at_exit:
            clean()
        self.exited.notify()

    def signal(self, number: int) -> None:
        """Deliver a signal."""
        if self.code is not None or number in (0, SIGNALS["CHLD"], SIGNALS["WINCH"], SIGNALS["CONT"]):
            return
        if number != SIGNALS["KILL"]:
            if self.on_signal and self.on_signal(number):
                return
            if self.pid == 1:  # the init of a PID namespace has no default actions
                return
        if self.pid == 1:
            if self.task:
                self.task.cancel()
                self.task._on_done(128 + number)
        elif self.task:
            self.task.throw(Killed(self, number))

    def wait(self) -> Steps:
        """Until the process has ended; its exit code."""
        while self.code is None:
            yield self.exited
        return self.code

    def wait_signal(self, *names: str) -> Generator[Wait, None, str]:
        """Sleep until one of these signals comes; how servers spend their days."""
        wanted = {SIGNALS[name]: name for name in names}
        came: list[str] = []
        waiters = Waiters()

        def handler(number: int) -> bool:
            if number in wanted:
                came.append(wanted[number])
                waiters.notify()
                return True
            return False

        before, self.on_signal = self.on_signal, handler
        while not came:
            yield waiters
        self.on_signal = before
        return came[0]

    def child(
        self, argv: list[str], env: dict[str, str], stdin: Pipe | None, stdout: Output | None, stderr: Output | None
    ) -> "Process":
        """A process below this one, with its streams unless others are given."""
        streams = stdin or self.stdin, stdout or self.stdout, stderr or self.stderr
        return Process(self.machine, argv, env, self.cwd, *streams, self)

    def start(self, argv: list[str], *, machine: Machine | None = None, cwd: str = "", **how: Any) -> "Process":
        """Start a process of its own with this one's environment and streams, here or on another machine."""
        return (machine or self.machine).start(
            argv, env=self.env, cwd=cwd or self.cwd, stdin=self.stdin, stdout=self.stdout,
            stderr=self.stderr, **how,
        )  # fmt: skip

    def run(
        self,
        argv: list[str],
        *,
        env: dict[str, str] | None = None,
        stdin: Pipe | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
    ) -> Steps:
        """Run a command in the foreground as a child and give its exit code; 127 if there is no such command."""
        command = self.machine.find(argv[0]) if argv[0] else None
        if command is None:
            return self.fail(f"{argv[0]}: not found", 127)
        child = self.child(argv, self.env if env is None else env, stdin, stdout, stderr)
        try:
            code = yield from command(child)
        except Killed as killed:
            child.exit(128 + killed.signal)
            if killed.process is not child:
                raise
            return 128 + killed.signal
        except BrokenPipe:
            child.exit(141)
            return 141
        except FileError as error:
            code = child.fail(str(error))
        finally:
            child.exit(0)
        child.code = code
        return code

    def open_output(self, path: str, *, append: bool = False) -> Output:
        """Open a file for writing; raises FileError."""
        file = self.fs.open_write(path, self.cwd, truncate=not append)
        if isinstance(file, File):
            return FileOutput(file)
        if file.kind in ("stdout", "stderr", "tty"):
            return self.stderr if file.kind == "stderr" else self.stdout
        if file.kind == "init-out":
            init = self.machine.processes.get(1)
            return init.stdout if init else Discard()
        return Discard()

    def pipe_file(self, data: bytes) -> str:
        """A file with this in it, for as long as the process lives: what bash calls /dev/fd/63. Raises FileError."""
        folder = self.fs.make_directories("/dev/fd")
        name = next((str(n) for n in range(63, 9, -1) if folder.get(str(n)) is None), None)
        if name is None:
            raise FileError("Too many open files")
        folder.set(name, File(data))
        self.at_exit.append(lambda: folder.remove(name) if folder.get(name) else None)
        return f"/dev/fd/{name}"

    def open_input(self, path: str) -> Pipe:
        """Open a file for reading; raises FileError."""
        node, _ = self.fs.resolve(path, self.cwd)
        if isinstance(node, Device):
            return self.stdin if node.kind in ("stdin", "tty") else Pipe(closed=True)
        return Pipe(self.fs.read(path, self.cwd), closed=True)
