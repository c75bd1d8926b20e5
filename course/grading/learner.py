"""A learner's kernel while it is graded: a nursery that has IPython loaded, and the child that runs the cells.

Nothing here is trusted once the first cell has run: the learner's code shares the process, and can say on the channel
what it likes. So this side decides nothing. It has no checks, no expected values and no marks; it runs what it is
sent, hands over what was printed and shown, calls the learner's functions when the judge asks, and asks the judge
(inside.py). The outputs go through pipes, which also carry what other processes print.
"""

import base64
import contextlib
import io
import itertools
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

import course
from course import kernel
from course.grading import inside
from course.grading.channel import MAX_JOB, MAX_MESSAGE, Channel, ChannelClosed, send_files
from course.grading.nursery import die_with_parent, tend
from course.grading.sandbox import Limits, enter, limit, renounce
from course.kernel import LabError

_tell: Callable[[str, Any], None] = lambda kind, what: None  # noqa: E731  # replaced in each child


class _Shown(DisplayPublisher):
    """`display(...)` goes to the judge."""

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **_: Any) -> None:
        _tell("display", data)

    def clear_output(self, wait: bool = False) -> None:
        _tell("clear", wait)


class _Result(DisplayHook):
    """A cell's last value goes to the judge."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        _tell("result", format_dict)

    def finish_displayhook(self) -> None:
        pass


class _Shell(InteractiveShell):
    display_pub_class = Type(_Shown)
    displayhook_class = Type(_Result)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self._last_traceback = stb
        _tell("error", {"ename": getattr(etype, "__name__", "Error"), "evalue": str(evalue), "traceback": list(stb)})

    def enable_gui(self, gui: Any = None) -> None:
        pass


def _shell() -> InteractiveShell:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.separate_in = ""
    shell = _Shell.instance(config=config)
    kernel.install(inside.typed)
    course.start, course.Lab = inside.start, inside.Lab  # type: ignore[misc, assignment]
    shell.run_cell("1", silent=True)  # type: ignore[no-untyped-call]  # what IPython loads at its first cell
    return shell


class _Kernel:
    """The child's loop: what the judge sends, one message after another."""

    def __init__(self, channel: Channel, shell: InteractiveShell):
        self.channel, self.shell = channel, shell
        self.handed: list[Any] = []
        self.numbers = itertools.count(1)

    def run(self) -> None:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                message = self.channel.receive()
                if "do" in message:
                    self.do(message)

    def do(self, message: dict[str, Any]) -> None:
        what = message["do"]
        if what == "cell":
            done = self.shell.run_cell(message["source"], store_history=True)
            self.tell("done", bool(done.success))
        elif what == "hand":
            self.handed = [self.shell.user_ns.get(name) for name in message["names"]]
            self.tell("done", [callable(each) for each in self.handed])
        elif what == "call":
            self.call(message)
        elif what == "file":
            path = Path(message["path"])
            with contextlib.suppress(OSError):  # such as a file where a folder has to be
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(base64.b64decode(message["data"]))

    def call(self, message: dict[str, Any]) -> None:
        """Let a learner's function answer; its mistakes are its answer, too."""
        try:
            function = self.handed[message["function"]]
            value = function(*[self.argument(each) for each in message["args"]])
            reply: dict[str, Any] = {"value": value}
        except (Exception, KeyboardInterrupt) as error:
            frames = traceback.extract_tb(error.__traceback__)[1:]
            lines = [f"  {frame.name}, line {frame.lineno}: {frame.line}" for frame in frames[-20:]]
            told = "\n".join([*lines, *traceback.format_exception_only(error)]).rstrip()
            reply = {"error": [type(error).__name__, str(error), told]}
            traceback.clear_frames(error.__traceback__)
        sys.stdout.flush()
        try:
            self.channel.send({**reply, "call": message["call"]})
        except (TypeError, ValueError, RecursionError) as error:
            self.channel.send({"error": [type(error).__name__, str(error)[:1000]], "call": message["call"]})

    def argument(self, value: Any) -> Any:
        """A judge's function among the arguments is a number here."""
        if isinstance(value, dict) and "$function" in value:
            number = value["$function"]
            return lambda *arguments: self.ask("back", number, *arguments)
        return value

    def ask(self, verb: str, *arguments: Any, handed: tuple[Any, ...] = ()) -> Any:
        """What a lab asks of the judge."""
        number = next(self.numbers)
        if handed:
            self.handed = list(handed)
        sys.stdout.flush()
        try:
            self.channel.send({"ask": verb, "args": list(arguments), "number": number, "handed": len(handed)})
        except (TypeError, ValueError) as error:
            raise LabError(f"That cannot be sent: {error}") from None
        while True:
            answer = self.channel.receive()
            if "do" in answer:
                self.do(answer)
            elif answer.get("number") == number:
                break
        if "refused" in answer:
            raise LabError(answer["refused"])
        if "error" in answer:  # a judge's function raised it
            raise type(answer["error"][0], (Exception,), {})(answer["error"][1])
        return answer["answer"]

    def tell(self, kind: str, what: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if kind in ("display", "result"):
            what = {str(key): value for key, value in what.items() if isinstance(value, str)}
        with contextlib.suppress(TypeError, ValueError):
            self.channel.send({"tell": kind, "what": what})


def _inside(message: dict[str, Any], end: socket.socket, out: int, error: int, shell: InteractiveShell) -> None:
    """The kernel proper. Never returns."""
    global _tell  # noqa: PLW0603  # IPython makes the objects that tell
    os.dup2(out, 1)
    os.dup2(error, 2)
    os.closerange(3, end.fileno())
    os.closerange(end.fileno() + 1, 1 << 12)
    limits = Limits(**message["limits"])
    listening: list[int] = []
    if message["walled"]:
        door = socket.create_server(("127.0.0.1", message["port"]), backlog=128)
        listening = [door.detach()]
        renounce(limits)
        os.umask(0)  # a node's files are the judge's to change, too
    else:
        limit(limits)
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["environment"]["HOME"])
    kubeconfig = Path(message["environment"]["KUBECONFIG"])
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    send_files(end, {}, listening)
    for each in listening:
        os.close(each)
    os.set_inheritable(end.fileno(), False)
    sys.stdout, sys.stderr = _printer(1), _printer(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mine = _Kernel(Channel(end, MAX_JOB, MAX_MESSAGE), shell)
    _tell = mine.tell
    inside.connect(mine.ask)
    with contextlib.suppress(ChannelClosed):
        mine.run()
    os._exit(0)


def _printer(number: int) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


def _watch(kernel: int, control: socket.socket) -> None:
    """Interrupt the kernel when the grader says so; say how it ended."""
    wake, notify = os.pipe()
    os.set_blocking(notify, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notify, warn_on_full_buffer=False)
    while True:
        ended, status = os.waitpid(kernel, os.WNOHANG)
        if ended:
            break
        readable, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 1 << 10)
        if control.fileno() in readable:
            word = control.recv(1)
            os.kill(kernel, signal.SIGINT if word == b"i" else signal.SIGKILL)
            if not word:
                break
    with contextlib.suppress(OSError):
        control.sendall(str(os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL).encode())


def main() -> None:
    shell = _shell()

    def work(message: dict[str, Any], files: list[int]) -> None:
        end, out, error, control, *doors = files
        if doors:
            enter(doors, message["uid"])
        child = os.fork()
        if child == 0:
            try:
                die_with_parent()
                _inside(message, socket.socket(fileno=end), out, error, shell)
            except BaseException:  # whatever happens, this process is not the nursery
                traceback.print_exc()
            finally:
                os._exit(1)
        for file in (end, out, error):
            os.close(file)
        _watch(child, socket.socket(fileno=control))

    tend({"ready": True}, work)


if __name__ == "__main__":
    main()
