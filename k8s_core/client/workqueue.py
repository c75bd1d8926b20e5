"""A work queue of keys: client-go's rate-limiting queue with its worker, on the loop.

Promises: a key is processed by one call at a time, adding it again while it waits changes nothing, a failed sync
is tried again after 5 ms, 10 ms, 20 ms ... up to 1000 s until it succeeds or `forget` is called.
"""

from collections.abc import Callable

from k8s_core.api.errors import StatusError
from k8s_core.clock import Loop, Timer
from k8s_core.limits import QUEUE_BASE_DELAY, QUEUE_MAX_DELAY


class WorkQueue:
    """Calls `sync(key)` for every key added, from the loop, first come first served."""

    def __init__(self, loop: Loop, sync: Callable[[str], None], *, name: str):
        self.loop, self.sync, self.name = loop, sync, name
        self.failures: dict[str, int] = {}
        self._waiting: dict[str, None] = {}  # insertion order is the queue's order
        self._timers: dict[str, Timer] = {}
        self._scheduled = self._stopped = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        if self._stopped:
            return
        self._waiting[key] = None
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._work)

    def add_after(self, key: str, seconds: float, *, background: bool = False) -> None:
        """Add `key` in `seconds`; an earlier appointment of the same key stands."""
        if seconds <= 0:
            self.add(key)
            return
        if self._stopped:
            return
        known = self._timers.get(key)
        if known and known.fn:
            if known.when <= self.loop.now + seconds:
                return
            known.cancel()
        self._timers[key] = self.loop.call_later(seconds, self._due, key, background=background)

    def withdraw(self, key: str) -> None:
        """Cancel an appointment made with `add_after`, if there is one: nothing is waited for any more."""
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()

    def add_rate_limited(self, key: str) -> None:
        failures = self.failures.get(key, 0)
        self.failures[key] = failures + 1
        self.add_after(key, min(QUEUE_BASE_DELAY * 2.0 ** min(failures, 40), QUEUE_MAX_DELAY))

    def forget(self, key: str) -> None:
        self.failures.pop(key, None)

    def stop(self) -> None:
        self._stopped = True
        self._waiting.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _work(self) -> None:
        # One key a turn: other components get theirs in between, as other processes would.
        self._scheduled = False
        if not self._waiting:
            return
        key = next(iter(self._waiting))
        del self._waiting[key]
        if self._waiting:
            self._scheduled = True
            self.loop.call_soon(self._work)
        failures = self.failures.get(key, 0)
        try:
            self.sync(key)
        except Exception as error:
            if self.loop.strict and not isinstance(error, StatusError):
                raise
            self.loop.log(self.name, f"error syncing {key!r}, requeuing: {type(error).__name__}: {error}")
            self.add_rate_limited(key)
        else:
            # A sync that ends well but asked for another try itself goes on backing off.
            if self.failures.get(key, 0) == failures:
                self.forget(key)
