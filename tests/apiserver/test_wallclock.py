"""k8s_core.apiserver.wallclock and follow: virtual time as clients see it, and as it goes by itself."""

import pytest

from k8s_core.apiserver.follow import JUMP_INTERVAL, MAX_CATCH_UP, MAX_JUMPED, MAX_NAP, PATIENCE, Follower
from k8s_core.apiserver.wallclock import WallClock
from k8s_core.clock import Loop


def shown(text: str, offset: float) -> str:
    return WallClock(lambda: offset).outgoing(text.encode()).decode()


def test_known_fields_are_moved() -> None:
    """Timestamps of Kubernetes' fields move back by the offset; whole seconds, fractions kept; others stay."""
    text = (
        '{"creationTimestamp":"2026-01-01T01:00:00Z","renewTime":"2026-01-01T01:00:00.250000Z",'
        '"other":"2026-01-01T01:00:00Z"}'
    )
    assert shown(text, 3600.2) == (
        '{"creationTimestamp":"2026-01-01T00:00:00Z","renewTime":"2026-01-01T00:00:00.250000Z",'
        '"other":"2026-01-01T01:00:00Z"}'
    )
    assert shown(text, 0.9) == text


def test_strings_within_strings_stay() -> None:
    """JSON inside an annotation is not touched, nor a null."""
    text = r'{"a":"{\"creationTimestamp\":\"2026-01-01T01:00:00Z\"}","creationTimestamp":null}'
    assert shown(text, 100) == text


def test_back_and_forth() -> None:
    """What was shown comes back as what it was, even if time moved on; JSON with spaces and YAML, too."""
    offset = [300.0]
    clock = WallClock(lambda: offset[0])
    out = clock.outgoing(b'{"creationTimestamp":"2026-01-01T01:00:00Z"}')
    offset[0] = 450.0
    assert clock.incoming(out) == b'{"creationTimestamp":"2026-01-01T01:00:00Z"}'
    assert clock.incoming(out.replace(b":", b": ", 1)) == b'{"creationTimestamp": "2026-01-01T01:00:00Z"}'
    assert clock.incoming(b"creationTimestamp: 2026-01-01T00:55:00Z\n") == b"creationTimestamp: 2026-01-01T01:00:00Z\n"
    assert clock.incoming(b'{"startTime":"2026-05-01T00:00:00Z"}') == b'{"startTime":"2026-05-01T00:07:30Z"}'


def test_logs_and_query() -> None:
    """Log lines' leading timestamps and ?sinceTime= move as well."""
    clock = WallClock(lambda: 60.0)
    assert clock.outgoing_lines(b"2026-01-01T00:01:00.5Z a\n2026-01-01T00:02:00Z b\nc\n") == (
        b"2026-01-01T00:00:00.5Z a\n2026-01-01T00:01:00Z b\nc\n"
    )
    assert clock.incoming_time("2026-01-01T01:00:00+01:00") == "2026-01-01T00:01:00Z"
    assert clock.incoming_time("yesterday") == "yesterday"


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_wall_mode_adds_elapsed_time() -> None:
    """Virtual time goes with the wall clock, keeps what was sent ahead, and sleeps when the machine slept."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "wall", wall)
    wall.now = 2.0
    follower.request()
    assert loop.now == 2.0
    loop.advance(300)
    wall.now = 3.0
    follower.tick()
    assert loop.now == 303.0
    wall.now = 5000.0
    follower.tick()
    assert loop.now == 303.0 + MAX_CATCH_UP


def test_elastic_mode_jumps_for_a_waiting_client() -> None:
    """With a client waiting, time jumps to the next foreground timer; background timers give no reason."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "elastic", wall)
    heard: list[str] = []
    loop.call_later(30, heard.append, "pulled")
    loop.every(10, heard.append, "heartbeat")
    wall.now = 1.0
    follower.tick()
    assert (loop.now, heard) == (1.0, [])
    follower.waiting = 1
    wall.now += JUMP_INTERVAL
    follower.tick()
    assert (loop.now, heard) == (30.0, ["heartbeat", "heartbeat", "pulled", "heartbeat"])
    wall.now += JUMP_INTERVAL
    follower.tick()
    assert loop.now == pytest.approx(30.0 + JUMP_INTERVAL)


def test_elastic_jumps_are_bounded() -> None:
    """Without a new request time jumps over ten minutes at most, and never twice within 20 ms."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "elastic", wall)
    follower.waiting = 1

    def again() -> None:
        loop.call_later(100, again)

    again()
    for _ in range(50):
        wall.now += JUMP_INTERVAL
        follower.tick()
    assert MAX_JUMPED - 100 <= loop.now - wall.now <= MAX_JUMPED
    before = loop.now
    follower.request()
    for _ in range(2):
        wall.now += JUMP_INTERVAL
        follower.tick()
    assert loop.now > before + 50


def ticks_until(follower: Follower, wall: Wall, when: float) -> int:
    """How many of the door's ticks, 20 ms of wall time each, it takes until virtual time is there."""
    for count in range(1, 1000):
        wall.now += 1.01 * JUMP_INTERVAL
        assert follower.tick() == JUMP_INTERVAL
        if follower._loop.now >= when:
            return count
    raise AssertionError(f"still {when - follower._loop.now} seconds to go")


@pytest.mark.parametrize("every", [0.5, 1, 7, 29, 30, 120, 300])
def test_minutes_take_few_ticks(every: float) -> None:
    """Ten minutes in which nothing is shown to the waiting client take ten ticks of 20 ms, however much goes on in
    them, so that no wait between two of its events costs half a second of sleep."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "elastic", wall)
    follower.waiting = 1
    loop.every(every, lambda: None, background=False)
    assert ticks_until(follower, wall, 600 - every) <= 10


def test_what_a_client_is_shown_ends_the_jump() -> None:
    """A client that is shown something has time to go away: then comes one jump, and only then more at once. One that
    may answer has that time after every jump."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "elastic", wall)
    follower.waiting = 1
    loop.every(1, lambda: setattr(follower, "shown", loop.now == 6), background=False)

    def reached() -> list[float]:
        found = []
        for _ in range(4):
            wall.now += 1.01 * JUMP_INTERVAL
            follower.tick()
            found.append(round(loop.now))
        return found

    assert reached() == [1, 4, 6, 7]
    follower.talking = 1
    assert reached() == [8, 9, 10, 11]


def test_still_mode_only_jumps() -> None:
    """In still mode time stands but for a waiting client."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "still", wall)
    loop.call_later(5, lambda: None)
    wall.now = 3.0
    follower.request()
    assert (follower.tick(), loop.now) == (MAX_NAP, 0.0)
    follower.waiting = 1
    wall.now += 1
    follower.tick()
    assert loop.now == 5.0


def test_still_mode_jumps_to_where_nothing_is_under_way() -> None:
    """One jump brings all that is under way, so a client that is slow to go away changes nothing; what is far off waits
    until the client has had time to go."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "still", wall)
    for when in (5, 6, 40, 200):
        loop.call_later(when, lambda: None)
    follower.request()
    follower.waiting = 1
    seen = []
    for _ in range(2):
        wall.now += PATIENCE / 2
        follower.tick()
        seen.append(loop.now)
    assert seen == [40.0, 40.0]
    wall.now += PATIENCE
    follower.tick()
    assert loop.now == 200.0


def test_step_mode_stands_still() -> None:
    """In step mode a request runs what is due, and time does not move."""
    loop, wall = Loop(0.0), Wall()
    follower = Follower(loop, "step", wall)
    heard: list[str] = []
    loop.call_soon(heard.append, "now")
    wall.now = 100.0
    follower.request()
    assert (loop.now, heard) == (0.0, ["now"])


def test_unknown_mode() -> None:
    """A mode that does not exist is a ValueError that names those that do."""
    with pytest.raises(ValueError, match="one of wall, elastic, still, step"):
        Follower(Loop(0.0), "fast")
