"""Signals in a shell: the trap builtin, and waiting for children as long as no trapped signal comes."""

from collections.abc import Generator
from typing import Any

from k8s_core.shell.builtins import Leave
from k8s_core.shell.pipes import Steps, Wait, Waiters
from k8s_core.shell.process import SIGNALS, Process
from k8s_core.shell.variables import Variables


class Traps(Variables):
    """Adds signals to a shell's state."""

    def __init__(self, process: Process, **more: Any) -> None:
        super().__init__(process, **more)
        self._pending: list[str] = []
        self._signalled = Waiters()

    def run_text(self, text: str) -> Steps:
        """Parse and run a text."""
        raise NotImplementedError

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
            while process.code is None:
                if self._pending:
                    yield from self._run_traps()
                    return 143
                both = Waiters()  # whichever comes first wakes us: the child's end or a signal
                for source in (process.exited, self._signalled):
                    source.add(_Relay(both))  # type: ignore[arg-type]  # a Task as far as Waiters goes: it has wake()
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
