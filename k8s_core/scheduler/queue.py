"""Pods that wait for a node: ready to try (active), put off for a while (backoff), or waiting for a change.

Stands for pkg/scheduler/backend/queue. A Pod that nothing fits goes to the unschedulable ones and comes back when
an event may help a plugin that turned it away, or after five minutes. Back-off doubles from 1 s to 10 s with each
attempt; when nothing else is to do, a Pod that only waits for its back-off is tried early (SchedulerPopFromBackoffQ),
unless it failed with an error. Left out: in-flight events, since nothing happens during a cycle here.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from k8s_core.clock import Loop
from k8s_core.limits import (
    SCHEDULER_FLUSH_PERIOD,
    SCHEDULER_INITIAL_BACKOFF,
    SCHEDULER_MAX_BACKOFF,
    SCHEDULER_UNSCHEDULABLE_TIMEOUT,
)
from k8s_core.scheduler.cache import PodInfo
from k8s_core.scheduler.plugin import Event


@dataclass(slots=True)
class Queued:
    """A Pod in the queue, with what the queue keeps about it."""

    pod: PodInfo
    timestamp: float
    place: str = ""  # "active", "backoff", "errors", "unschedulable", or "" while it is being scheduled
    turn: int = 0  # tells a heap's current entry from stale ones
    attempts: int = 0
    ready_at: float = 0.0
    gated: bool = False
    blamed: set[str] = field(default_factory=set)


class SchedulingQueue:
    """`on_ready()` is called when there is something to pop; `admit(queued)` is PreEnqueue: True lets it in.

    `helps(event, pod, blamed)` tells whether an event may let a Pod past the plugins blamed for its waiting.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        admit: Callable[[Queued], bool],
        helps: Callable[[Event, PodInfo, set[str]], bool],
        on_ready: Callable[[], None],
        backoff: tuple[float, float] = (SCHEDULER_INITIAL_BACKOFF, SCHEDULER_MAX_BACKOFF),
    ):
        self._first_backoff, self._longest_backoff = backoff
        self.loop, self.admit, self.helps, self.on_ready = loop, admit, helps, on_ready
        self.pods: dict[str, Queued] = {}
        self.unschedulable: dict[str, Queued] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._turn = 0
        self._flush = loop.every(SCHEDULER_FLUSH_PERIOD, self._flush_unschedulable)

    def stop(self) -> None:
        self._flush.cancel()
        self.pods.clear()
        self.unschedulable.clear()

    # --- Pods come, change and go ---------------------------------------------------------------------------
    def add(self, pod: PodInfo) -> None:
        queued = Queued(pod, self.loop.now)
        self.pods[pod.uid] = queued
        self._activate(queued)

    def update(self, pod: PodInfo) -> None:
        """A waiting Pod changed; it may be schedulable by that."""
        queued = self.pods.get(pod.uid)
        if queued is None:
            self.add(pod)
            return
        old, queued.pod = queued.pod, pod
        if queued.place != "unschedulable" or (old.spec == pod.spec and old.labels == pod.labels):
            return  # its status is mostly our own word
        if self.helps(Event("TargetPod/Update", old, pod), pod, queued.blamed):
            self._requeue(queued)

    def delete(self, uid: str) -> None:
        self.pods.pop(uid, None)
        self.unschedulable.pop(uid, None)

    def done(self, uid: str) -> None:
        """The Pod has a node."""
        self.delete(uid)

    # --- taking and giving back -----------------------------------------------------------------------------
    def pop(self) -> Queued | None:
        """The most important Pod to try now: highest priority, then longest in the queue."""
        queued = self._pop_active() or self._pop_backoff()
        if queued is not None:
            queued.place = ""
            queued.attempts += 1
        return queued

    def give_back(self, queued: Queued, blamed: set[str], *, error: bool = False) -> None:
        """After a failed attempt: wait for an event, or after an error only for the back-off."""
        if self.pods.get(queued.pod.uid) is not queued:
            return
        queued.timestamp = self.loop.now
        queued.blamed = blamed
        queued.ready_at = self.loop.now + self.backoff(queued)
        if error:
            self._put_off(queued, "errors")
        else:
            queued.place = "unschedulable"
            self.unschedulable[queued.pod.uid] = queued

    def backoff(self, queued: Queued) -> float:
        """Seconds: 1 after the first attempt, doubled by each further one, at most 10 (podInitialBackoffSeconds and
        podMaxBackoffSeconds)."""
        return min(self._first_backoff * 2.0 ** (queued.attempts - 1), self._longest_backoff)

    def notify(self, event: Event) -> None:
        """Something happened: move the Pods it may help."""
        for queued in list(self.unschedulable.values()):
            if not queued.gated and self.helps(event, queued.pod, queued.blamed):
                self._requeue(queued)

    # --- moving ---------------------------------------------------------------------------------------------
    def _activate(self, queued: Queued) -> None:
        self.unschedulable.pop(queued.pod.uid, None)
        queued.gated = not self.admit(queued)
        if queued.gated:
            queued.place = "unschedulable"
            self.unschedulable[queued.pod.uid] = queued
            return
        queued.place = "active"
        self._turn += 1
        queued.turn = self._turn
        entry = (-queued.pod.priority, queued.timestamp, queued.turn, queued.pod.uid)
        heapq.heappush(self._active, entry)
        self.on_ready()

    def _requeue(self, queued: Queued) -> None:
        if queued.ready_at > self.loop.now and not queued.gated:
            self._put_off(queued, "backoff")
        else:
            self._activate(queued)

    def _put_off(self, queued: Queued, place: str) -> None:
        self.unschedulable.pop(queued.pod.uid, None)
        queued.place = place
        self._turn += 1
        queued.turn = self._turn
        if place == "backoff":
            heapq.heappush(self._backoff, (queued.ready_at, queued.turn, queued.pod.uid))
        self.loop.call_later(queued.ready_at - self.loop.now, self._backoff_over, queued, queued.turn)
        self.on_ready()

    def _backoff_over(self, queued: Queued, turn: int) -> None:
        current = self.pods.get(queued.pod.uid) is queued and queued.turn == turn
        if current and queued.place in ("backoff", "errors"):
            self._activate(queued)

    def _pop_active(self) -> Queued | None:
        while self._active:
            _, _, turn, uid = heapq.heappop(self._active)
            queued = self.pods.get(uid)
            if queued is not None and queued.place == "active" and queued.turn == turn:
                return queued
        return None

    def _pop_backoff(self) -> Queued | None:
        while self._backoff:
            _, turn, uid = heapq.heappop(self._backoff)
            queued = self.pods.get(uid)
            if queued is not None and queued.place == "backoff" and queued.turn == turn and self.admit(queued):
                return queued
        return None

    def _flush_unschedulable(self) -> None:
        for queued in list(self.unschedulable.values()):
            if not queued.gated and self.loop.now - queued.timestamp > SCHEDULER_UNSCHEDULABLE_TIMEOUT:
                self._requeue(queued)
