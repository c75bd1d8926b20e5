"""Lets virtual time follow the wall clock: the only place besides the door where real time comes in.

"wall": a virtual second takes a second. "elastic": the same, but when a client waits on a stream (watch, logs,
exec) time jumps to the next thing that client may be waiting for. "still": only jumps, each as far as anything is
under way, so that a lesson that is run again shows the same, however quick the machine and its clients are. "step":
time moves only when somebody sends it.
Whoever sends time ahead from outside (`Cluster.advance`) is not undone: only elapsed wall time is added.
"""

import math
import time
from collections.abc import Callable

from k8s_core.clock import Loop

MODES = ("wall", "elastic", "still", "step")
MAX_CATCH_UP = 10.0
"""Virtual seconds made up for at once: after the machine slept, the cluster has slept, too."""
JUMP_INTERVAL = 0.02
"""Wall seconds between two jumps, so that what a jump caused is seen before the next."""
LEAP = 3.0
"""Virtual seconds jumped over at once after a second quiet interval, and how much more after each that follows: who is
content and slow to go away misses little, who really waits does not wait long."""
PATIENCE = 1.0
"""Wall seconds that a client which waits in a settled cluster has to go away, before "still" jumps further."""
MAX_JUMPED = 900.0
"""Virtual seconds jumped over before a client has to show itself again with a request: more than the ten minutes that
a Deployment has to progress, or that a Job with six retries takes to give up."""
MAX_NAP = 0.1
"""Wall seconds that the ticker may sleep: other threads can add timers meanwhile."""


def wall_clock() -> float:
    """Seconds since the epoch, on the machine's clock."""
    return time.time()


class Follower:
    """Moves one loop. Every method is called under the cluster's lock."""

    def __init__(self, loop: Loop, mode: str = "wall", wall: Callable[[], float] = time.monotonic) -> None:
        if mode not in MODES:
            raise ValueError(f'unknown clock mode "{mode}": one of {", ".join(MODES)}')
        self._loop, self._wall, self.mode = loop, wall, mode
        self._last = wall()
        self._last_jump = -math.inf
        self._jumped = self._leap = 0.0
        self.waiting = 0
        """How many clients wait on a stream."""
        self.talking = 0
        """How many of them may answer to what they are shown (exec, attach, port-forward)."""
        self.shown = False
        """Set by whoever writes to one of the others."""

    def start_at(self, now: float) -> None:
        """Make up for the wall time, in seconds since the epoch, that boot took; a clock set apart stays apart."""
        behind = now - self._loop.now
        if self.mode in ("wall", "elastic") and 0 < behind <= MAX_CATCH_UP:
            self._loop.advance(behind)

    def request(self) -> None:
        """A client asks for something: bring time up to now."""
        self._jumped, self._leap, self._last_jump = 0.0, 0.0, -math.inf
        self.catch_up()

    def catch_up(self) -> None:
        """Let as much virtual time pass as wall time did."""
        now = self._wall()
        elapsed, self._last = now - self._last, now
        if self.mode in ("step", "still"):
            self._loop.run_ready()
        else:
            self._loop.advance(min(max(elapsed, 0.0), MAX_CATCH_UP))

    def tick(self) -> float:
        """Catch up, jump if a client waits for nothing but time, and return how long to sleep, in wall seconds."""
        self.catch_up()
        if self.mode in ("elastic", "still") and self.waiting:
            self._jump()
            return JUMP_INTERVAL
        if self.mode in ("step", "still"):
            return MAX_NAP
        due = self._loop.next_due()
        return MAX_NAP if due is None else min(max(due - self._loop.now, 0.001), MAX_NAP)

    def _jump(self) -> None:
        """Jump to what is due next, and on, until a client is shown something."""
        if self._last - self._last_jump < (PATIENCE if self.mode == "still" else JUMP_INTERVAL):
            return
        if self.shown or self.talking:
            self._leap = 0.0
        began, first, self.shown = self._loop.now, True, False
        while first or not self.shown:
            due = self._loop.next_due(foreground_only=True)
            if due is None or self._jumped + due - began > MAX_JUMPED or (due - began > self._leap and not first):
                break
            self._last_jump, first = self._last, False
            self._loop.advance_to(due)
            if self.mode == "still":
                self._loop.settle(MAX_JUMPED)
                break
        self._jumped += self._loop.now - began
        self._leap = self._leap * LEAP or LEAP
