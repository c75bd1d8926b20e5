"""Processes forked from a warmed parent: what takes seconds to load is loaded once, and a fork takes milliseconds.

A nursery is started as a program of its own (`python -m course.grading.judge`, `... .learner`) with a socket as its
standard input. Over it the grader asks for children and hands each the open files it shall work with. A nursery has
one thread, so forking is safe; it ends with the grader, and its children end with it, whatever ends the grader.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from course.grading.channel import ChannelClosed, receive_files, send_files

_PR_SET_PDEATHSIG = 1
_STDIN = 0


class Nursery:
    """The grader's side of a warmed parent. Thread-safe."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path):
        self._end, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self.process = subprocess.Popen(command, env=dict(environment), stdin=theirs.fileno(), cwd=folder)
        theirs.close()

    def ready(self) -> dict[str, Any]:
        """Wait until it is warm; what it has to say. EOFError if it could not start."""
        with self._lock:
            message, _ = receive_files(self._end)
        return dict(message)

    def fork(self, message: dict[str, Any], files: list[int]) -> int:
        """A child that does the job of `message` with `files`; its number in the nursery."""
        with self._lock:
            send_files(self._end, {"fork": message}, files)
            answer, _ = receive_files(self._end)
        return int(answer["child"])

    def kill(self, child: int) -> None:
        """End a child, however busy it is; nothing if it has ended. Returns when it is gone."""
        with self._lock, contextlib.suppress(OSError, EOFError):
            send_files(self._end, {"kill": child}, [])
            receive_files(self._end)

    def close(self) -> None:
        self._end.close()
        self.process.kill()
        self.process.wait()


def tend(ready: dict[str, Any], work: Callable[[dict[str, Any], list[int]], None]) -> None:
    """The nursery's own side: say that it is warm, then fork children until the grader goes away. Never returns."""
    end = socket.socket(fileno=os.dup(_STDIN))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, _STDIN)
    die_with_parent()
    gc.collect()
    gc.freeze()  # the collector does not touch, and so does not copy, what all children share
    wake, notify = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(notify, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notify, warn_on_full_buffer=False)
    children: set[int] = set()
    send_files(end, ready, [])
    while True:
        readable, _, _ = select.select([end.fileno(), wake], [], [])
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 1 << 12)
            _reap(children)
        if end.fileno() not in readable:
            continue
        try:
            message, files = receive_files(end)
        except (EOFError, OSError):
            os._exit(0)
        if "kill" in message:
            _reap(children)
            if message["kill"] in children:
                os.kill(message["kill"], signal.SIGKILL)
                os.waitpid(message["kill"], 0)
                children.discard(message["kill"])
            send_files(end, {}, [])
            continue
        child = os.fork()
        if child == 0:
            _child(message["fork"], files, [end.fileno(), wake, notify], work)
        children.add(child)
        for file in files:
            os.close(file)
        send_files(end, {"child": child}, [])


def die_with_parent() -> None:
    """Be killed when the parent ends (Linux; elsewhere a process notices by its closed socket)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _child(
    message: dict[str, Any], files: list[int], inherited: list[int], work: Callable[[dict[str, Any], list[int]], None]
) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in inherited:
            os.close(each)
        die_with_parent()
        work(message, files)
        code = 0
    except ChannelClosed:
        pass  # the grader is gone
    except BaseException as error:  # a child must never go on as a second nursery
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _reap(children: set[int]) -> None:
    for child in list(children):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0]:
                children.discard(child)
