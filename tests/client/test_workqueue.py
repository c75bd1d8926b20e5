"""The work queue tries again later and later, until it works."""

from k8s_core.api.errors import StatusError, bad_request
from k8s_core.client.workqueue import WorkQueue
from k8s_core.clock import Loop


def times_of(loop: Loop, queue: WorkQueue, calls: list[float], seconds: float) -> list[float]:
    """When the queue's sync was called, in milliseconds from now on."""
    start = loop.now
    queue.add("default/a")
    loop.advance(seconds)
    return [round((when - start) * 1000) for when in calls]


def test_a_failing_sync_backs_off() -> None:
    """Twice as long after each failure, and from the beginning again after a success."""
    loop, calls = Loop(), []
    errors: list[StatusError] = [bad_request("no")] * 3

    def sync(key: str) -> None:
        calls.append(loop.now)
        if errors:
            raise errors.pop()

    queue = WorkQueue(loop, sync, name="test")
    assert times_of(loop, queue, calls, 1) == [0, 5, 15, 35]
    assert queue.failures == {}


def test_a_sync_that_asks_for_another_try_backs_off_too() -> None:
    """Asking does not fail, but it must not spin either."""
    loop, calls = Loop(), []

    def sync(key: str) -> None:
        calls.append(loop.now)
        if len(calls) < 4:
            queue.add_rate_limited(key)

    queue = WorkQueue(loop, sync, name="test")
    assert times_of(loop, queue, calls, 1) == [0, 5, 15, 35]
    assert queue.failures == {}


def test_a_waiting_key_is_worked_on_once() -> None:
    """Adding again what waits changes nothing."""
    loop = Loop()
    calls: list[str] = []
    queue = WorkQueue(loop, calls.append, name="test")
    for _ in range(3):
        queue.add("default/a")
    queue.add("default/b")
    loop.run_ready()
    assert calls == ["default/a", "default/b"] and len(queue) == 0
