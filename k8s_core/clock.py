"""Virtual time, timers and the one event loop; also the one source of random names.

Every component runs as callbacks on a `Loop`. Nothing here sleeps and nothing reads the wall clock: time moves
only when somebody calls `advance`, `advance_to` or `settle`, so the same seed and the same requests give the same
history, however fast the machine is. Whoever wants time to follow the wall clock calls `advance_to` from outside.

Timers come in two sorts. Foreground timers are what a waiting client waits for (an image pull, a back-off);
background timers (heartbeats, resyncs) run when time passes but never give a reason to let it pass.
"""

import heapq
import logging
import random
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""Where virtual time starts unless told otherwise, in seconds since the Unix epoch."""

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes random name suffixes of: no vowels, no look-alikes (apimachinery util/rand)."""

MAX_CALLBACKS_AT_ONE_INSTANT = 5_000_000

logger = logging.getLogger("k8s_core")


class Timer:
    """One call in the future. `cancel` is safe at any time, also after it ran."""

    __slots__ = ("args", "background", "fn", "seq", "when")

    def __init__(self, when: float, seq: int, fn: Callable[..., None], args: tuple[Any, ...], background: bool):
        self.when, self.seq, self.background = when, seq, background
        self.fn: Callable[..., None] | None = fn
        self.args = args

    def cancel(self) -> None:
        self.fn, self.args = None, ()

    def __lt__(self, other: "Timer") -> bool:
        return (self.when, self.seq) < (other.when, other.seq)


class Loop:
    """The event loop of one cluster. Not thread-safe: callers hold the cluster's lock."""

    def __init__(self, start: float = EPOCH, seed: int = 0):
        self.now = float(start)
        self.random = random.Random(seed)
        self.strict = False
        """When true an exception in a callback is raised to whoever runs the loop (tests), not only logged."""
        self._ready: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._timers: list[Timer] = []
        self._foreground: list[Timer] = []
        self._seq = 0
        self._running = False
        self._stamp = (-1, "")

    # --- time -----------------------------------------------------------------------------------------------
    def timestamp(self, ahead: float = 0) -> str:
        """Now (or `ahead` seconds later) as metav1.Time prints it: whole seconds, UTC."""
        second = int(self.now + ahead)
        if self._stamp[0] != second:
            self._stamp = (second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        return self._stamp[1]

    def micro_timestamp(self) -> str:
        """Now as metav1.MicroTime prints it."""
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # --- names ----------------------------------------------------------------------------------------------
    def uid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def suffix(self, n: int = 5) -> str:
        return "".join(self.random.choices(NAME_ALPHABET, k=n))

    # --- work -----------------------------------------------------------------------------------------------
    def call_soon(self, fn: Callable[..., None], *args: Any) -> None:
        self._ready.append((fn, args))

    def call_later(self, delay: float, fn: Callable[..., None], *args: Any, background: bool = False) -> Timer:
        """Call `fn(*args)` after `delay` virtual seconds."""
        self._seq += 1
        timer = Timer(self.now + max(delay, 0.0), self._seq, fn, args, background)
        heapq.heappush(self._timers, timer)
        if not background:
            heapq.heappush(self._foreground, timer)
        return timer

    def every(self, period: float, fn: Callable[..., None], *args: Any, background: bool = True) -> Timer:
        """Call `fn(*args)` every `period` seconds, the first time after one period, until cancelled."""

        def tick() -> None:
            self._seq += 1
            timer.when, timer.seq = self.now + period, self._seq
            heapq.heappush(self._timers, timer)
            if not background:
                heapq.heappush(self._foreground, timer)
            fn(*args)

        timer = self.call_later(period, tick, background=background)
        return timer

    def log(self, component: str, message: str) -> None:
        logger.info("%s %s: %s", self.timestamp(), component, message)

    # --- running --------------------------------------------------------------------------------------------
    def next_due(self, foreground_only: bool = False) -> float | None:
        """When the next timer is due, or None if there is none."""
        heap = self._foreground if foreground_only else self._timers
        while heap and heap[0].fn is None:
            heapq.heappop(heap)
        if self._ready:
            return self.now
        return heap[0].when if heap else None

    def run_ready(self) -> None:
        """Run everything that is due now. Does nothing when called from a callback."""
        self._run(self.now)

    def advance_to(self, when: float) -> None:
        """Run everything due until `when`, in order, and leave the clock there. Time never goes back."""
        self._run(when)
        if not self._running:
            self.now = max(self.now, when)

    def advance(self, seconds: float) -> None:
        self.advance_to(self.now + seconds)

    def jump(self, seconds: float) -> None:
        """The clock is suddenly so much later; what was due in between is done late, all at once."""
        self.now += seconds

    def settle(self, limit: float = 600.0, horizon: float = 60.0) -> float:
        """Go ahead until no foreground work is due within `horizon` seconds, at most `limit` seconds.

        Returns how many virtual seconds went by.
        """
        start = self.now
        self.run_ready()
        while (due := self.next_due(foreground_only=True)) is not None:
            if due - self.now > horizon or due > start + limit:
                break
            self.advance_to(due)
        return self.now - start

    def _run(self, until: float) -> None:
        if self._running:
            return
        self._running = True
        ready, timers = self._ready, self._timers
        budget = MAX_CALLBACKS_AT_ONE_INSTANT
        try:
            while True:
                while ready:
                    fn, args = ready.popleft()
                    budget -= 1
                    if budget < 0:
                        raise RuntimeError(f"the loop does not come to rest at {self.timestamp()}: last was {fn}")
                    self._call(fn, args)
                if not timers or timers[0].when > until:
                    return
                timer = heapq.heappop(timers)
                foreground = self._foreground
                while foreground and (foreground[0].fn is None or foreground[0] is timer):
                    heapq.heappop(foreground)
                if timer.fn is None:
                    continue
                if timer.when > self.now:
                    self.now = timer.when
                    budget = MAX_CALLBACKS_AT_ONE_INSTANT
                fn, args = timer.fn, timer.args
                self._call(fn, args)
        finally:
            self._running = False

    def _call(self, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            fn(*args)
        except Exception:
            if self.strict:
                raise
            logger.exception("%s: a callback failed: %s", self.timestamp(), fn)
