"""The loop: time moves only when told to, in order, the same way every time."""

import pytest

from k8s_core.clock import EPOCH, Loop


def test_timers_run_in_order_of_time_then_of_birth() -> None:
    """Two timers for one instant run in the order in which they were set."""
    loop, seen = Loop(), []
    loop.call_later(2, seen.append, "b")
    loop.call_later(1, seen.append, "a")
    loop.call_later(2, seen.append, "c")
    loop.advance(1.5)
    assert seen == ["a"] and loop.now == EPOCH + 1.5
    loop.advance(1)
    assert seen == ["a", "b", "c"]


def test_a_callback_sees_the_time_it_was_set_for() -> None:
    """While a timer runs, now is when it was due, even if time is sent far ahead."""
    loop, seen = Loop(), []
    loop.call_later(5, lambda: seen.append(loop.timestamp()))
    loop.advance(3600)
    assert seen == ["2026-01-01T00:00:05Z"] and loop.timestamp() == "2026-01-01T01:00:00Z"


def test_settle_stops_where_only_background_work_is_left() -> None:
    """Heartbeats give no reason to let time pass; foreground work does, and what it starts too."""
    loop, beats, done = Loop(), [], []
    loop.every(10, lambda: beats.append(loop.now))
    loop.call_later(25, lambda: loop.call_later(20, done.append, True))
    assert loop.settle() == 45
    assert done and len(beats) == 4
    assert loop.settle() == 0


def test_settle_does_not_chase_what_is_far_away() -> None:
    """A back-off of five minutes counts as settled."""
    loop, seen = Loop(), []
    loop.call_later(300, seen.append, 1)
    assert loop.settle() == 0 and not seen


def test_cancelled_timers_do_not_run() -> None:
    """Cancelling is final, for single and for repeated timers."""
    loop, seen = Loop(), []
    loop.call_later(1, seen.append, 1).cancel()
    repeated = loop.every(1, seen.append, 2)
    loop.advance(2.5)
    repeated.cancel()
    loop.advance(5)
    assert seen == [2, 2]


def test_the_same_seed_gives_the_same_names() -> None:
    """Names and uids come from the seed and from nothing else."""
    one, two, other = Loop(seed=7), Loop(seed=7), Loop(seed=8)
    assert (one.uid(), one.suffix()) == (two.uid(), two.suffix())
    assert one.uid() != other.uid()


def test_a_failing_callback_does_not_stop_the_others() -> None:
    """One component's defect must not take the cluster down; strict mode shows it instead."""
    loop, seen = Loop(), []

    def fail() -> None:
        raise ValueError("defect")

    loop.call_soon(fail)
    loop.call_soon(seen.append, 1)
    loop.run_ready()
    assert seen == [1]
    loop.strict = True
    loop.call_soon(fail)
    with pytest.raises(ValueError, match="defect"):
        loop.run_ready()
