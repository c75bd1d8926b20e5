"""What drives a simulated process: a generator on the loop, woken by time, by what it waits for, or by a signal."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from k8s_core.shell.pipes import BrokenPipe, Killed, Steps, Waiters

if TYPE_CHECKING:
    from k8s_core.clock import Loop, Timer

BROKEN_PIPE = 128 + 13
"""The exit code of a process that SIGPIPE has ended."""


class Task:
    """Drives one generator on the loop."""

    __slots__ = ("_background", "_generator", "_loop", "_on_done", "_timer", "_waiting", "done")

    def __init__(
        self, loop: "Loop", generator: Steps, on_done: Callable[[int], None], background: Callable[[], bool]
    ) -> None:
        self._loop, self._generator, self._on_done, self._background = loop, generator, on_done, background
        self._timer: Timer | None = None
        self._waiting: Waiters | None = None
        self.done = False
        loop.call_soon(self._step, None)

    def _step(self, error: BaseException | None) -> None:
        if self.done:
            return
        self._timer = self._waiting = None
        try:
            wait = self._generator.throw(error) if error else self._generator.send(None)
        except StopIteration as stop:
            self._finish(int(stop.value or 0))
        except Killed as killed:
            self._finish(128 + killed.signal)
        except BrokenPipe:
            self._finish(BROKEN_PIPE)
        except RecursionError:
            self._finish(139)
        except Exception as defect:
            if self._loop.strict:
                raise
            self._loop.log("process", f"segmentation fault: {type(defect).__name__}: {defect}")
            self._finish(139)
        else:
            if isinstance(wait, Waiters):
                self._waiting = wait
                wait.add(self)
            else:
                self._timer = self._loop.call_later(wait, self._step, None, background=self._background())

    def _finish(self, code: int) -> None:
        self.done = True
        self._on_done(code)

    def wake(self) -> None:
        self._waiting = None
        self._loop.call_soon(self._step, None)

    def throw(self, error: BaseException) -> None:
        """Raise inside the generator, now."""
        if self.done:
            return
        if self._timer:
            self._timer.cancel()
        if self._waiting:
            self._waiting.discard(self)
        self._loop.call_soon(self._step, error)

    def cancel(self) -> None:
        """Drop the generator without a word (SIGKILL)."""
        if self.done:
            return
        self.done = True
        if self._timer:
            self._timer.cancel()
        if self._waiting:
            self._waiting.discard(self)
        with suppress(RuntimeError, ValueError):  # it is running right now (it killed itself), or yields on its way
            self._generator.close()
