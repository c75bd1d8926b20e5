"""The scheduling queue: order, back-off, events and gates, in virtual time."""

from typing import Any

from cluster_on_paper import pod

from k8s_core.clock import Loop
from k8s_core.scheduler.cache import PodInfo
from k8s_core.scheduler.plugin import Event
from k8s_core.scheduler.queue import Queued, SchedulingQueue


class Desk:
    """A queue with a plugin that lets Pods through when `open`, and that only `helpful` events may help."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.loop.strict = True
        self.open = True
        self.helpful: set[str] = set()
        self.queue = SchedulingQueue(self.loop, admit=self.admit, helps=self.helps, on_ready=lambda: None)

    def admit(self, queued: Queued) -> bool:
        return self.open

    def helps(self, event: Event, info: PodInfo, blamed: set[str]) -> bool:
        return event.kind in self.helpful

    def add(self, name: str, **short: Any) -> None:
        self.queue.add(PodInfo(pod(name, short)))

    def pop(self) -> str | None:
        queued = self.queue.pop()
        return queued.pod.name if queued else None

    def fail(self, name: str, **how: Any) -> None:
        queued = self.queue.pop()
        assert queued is not None
        assert queued.pod.name == name
        self.queue.give_back(queued, {"Plugin"}, **how)


def test_the_most_important_pod_comes_first_then_who_waits_longest() -> None:
    """Priority decides, then the time of arrival."""
    desk = Desk()
    desk.add("first")
    desk.loop.advance(1)
    desk.add("second")
    desk.add("vip", priority=10)
    assert [desk.pop() for _ in range(4)] == ["vip", "first", "second", None]


def test_a_pod_that_does_not_fit_waits_for_an_event_that_helps() -> None:
    """Events no blamed plugin cares for change nothing."""
    desk = Desk()
    desk.add("p")
    desk.fail("p")
    desk.queue.notify(Event("Node/Add"))
    assert desk.pop() is None
    desk.helpful = {"Node/Add"}
    desk.queue.notify(Event("Node/Add"))
    assert desk.pop() == "p"


def test_backoff_doubles_up_to_ten_seconds() -> None:
    """1, 2, 4, 8, then 10 seconds after an error."""
    desk = Desk()
    desk.add("p")
    for seconds in (1, 2, 4, 8, 10, 10):
        desk.fail("p", error=True)
        desk.loop.advance(seconds - 0.001)
        assert desk.pop() is None
        desk.loop.advance(0.001)
    assert desk.pop() == "p"


def test_an_idle_scheduler_does_not_wait_for_the_backoff() -> None:
    """A Pod that an event may help is tried at once if nothing else is active, and after the others if not."""
    desk = Desk()
    desk.helpful = {"Node/Add"}
    desk.add("p", priority=10)
    desk.fail("p")
    desk.add("other")
    desk.queue.notify(Event("Node/Add"))
    assert [desk.pop(), desk.pop(), desk.pop()] == ["other", "p", None]


def test_nobody_waits_forever() -> None:
    """After five minutes a Pod is tried again without any event."""
    desk = Desk()
    desk.add("p")
    desk.fail("p")
    desk.loop.advance(299)
    assert desk.pop() is None
    desk.loop.advance(60)
    assert desk.pop() == "p"


def test_a_gated_pod_is_out_of_the_queue_until_the_gate_goes() -> None:
    """Neither events nor time bring it in, only its own change."""
    desk = Desk()
    desk.open, desk.helpful = False, {"Node/Add", "TargetPod/Update"}
    desk.add("p", schedulingGates=[{"name": "wait"}])
    desk.queue.notify(Event("Node/Add"))
    desk.loop.advance(1000)
    assert desk.pop() is None
    desk.open = True
    desk.queue.update(PodInfo(pod("p", {})))
    assert desk.pop() == "p"


def test_a_deleted_pod_is_gone_wherever_it_waits() -> None:
    """Active, unschedulable or put off: nothing is popped."""
    desk = Desk()
    desk.add("active")
    desk.queue.delete("uid-active")
    assert desk.pop() is None
    desk.add("waiting")
    desk.fail("waiting", error=True)
    desk.queue.delete("uid-waiting")
    desk.loop.advance(20)
    assert desk.pop() is None
