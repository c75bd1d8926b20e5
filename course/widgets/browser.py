"""etcd's keys under a prefix, with their numbers, and beside them a watch that tells each change as it comes.

Every position is a revision at which something under the prefix was written: the keys as they were, what the watch
had told by then, and what that write changed in the value. At the newest, a step lets time go by. Reads the lab's own
etcd, from its last compaction on; nothing here changes it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from course.widgets.keys import lines
from course.widgets.pictures import WIDTH, _count, _rect, _svg, _text
from course.widgets.player import Player
from k8s_core.etcd.store import Event, KeyValue, Store, prefix_end

if TYPE_CHECKING:
    from course.views import Views

MOST = 14  # keys and events shown at a time
SPLIT = 590  # where the watch begins
ROW, HEAD = 20, 54
COLUMNS = (("create", 330), ("mod", 400), ("version", 470), ("bytes", 524))
CHANGED = 16  # lines of a change that are shown


class KeysView(Player):
    """The keys that begin with `prefix`, a revision a position. `close` ends its watch."""

    def __init__(self, store: Store, lock: Any, prefix: str, advance: Callable[[float], None], **kwargs: Any):
        super().__init__(label=f"etcd's keys under {prefix}", **kwargs)
        self.store, self.lock, self.prefix, self._advance = store, lock, prefix, advance
        self.events: list[list[Event]] = []
        start = prefix.encode()
        with lock:
            since = max(store.compact_revision, 1)
            self._watcher = store.watch(start, prefix_end(start), self.events.append, start_revision=since)
        self.refresh()

    @classmethod
    def of(cls, lab: "Views", prefix: str) -> "KeysView":
        return cls(lab.cluster.etcd, lab.cluster.lock, prefix, lab.cluster.advance)

    def close(self) -> None:
        self._watcher.cancel()
        super().close()

    def refresh(self) -> None:
        """Take in what the watch has told since; stay at the newest if we were there."""
        newest = self.position >= self.last
        with self.hold_sync():
            self.last = max(len(self.events) - 1, 0)
            if newest:
                self.position = self.last
            self.draw()

    def forward(self, playing: bool) -> None:
        if self.position < self.last:
            self.position += 1
            return
        self._advance(self.speed if playing else 1.0)
        before = self.last
        self.refresh()
        if self.last > before + 1:
            self.position = before + 1

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        told = self.events[: self.position + 1]
        self.live = self.position == self.last
        if not told:
            self.svg, self.text = picture(self.prefix, [], []), f"no key begins with {self.prefix}"
            self.caption = f"nothing under {self.prefix} yet"
            return
        revision = told[-1][0].kv.mod_revision
        start = self.prefix.encode()
        with self.lock:
            kvs = self.store.range(start, prefix_end(start), revision=max(revision, self.store.compact_revision)).kvs
        self.svg, self.text = picture(self.prefix, kvs, told), text(self.prefix, kvs, told)
        written = ", ".join(f"{event.type} {_short(event.kv, self.prefix)}" for event in told[-1])
        where = "now" if self.live else f"write {self.position + 1} of {self.last + 1}"
        self.caption = f"revision {revision}, {where}: {_count(len(kvs), 'key')}; {written}"


def change(event: Event) -> str:
    """What a write changed in a value, a line a difference; nothing of a new or deleted key."""
    return lines(event.prev.value, event.kv.value) if event.prev and event.type == "PUT" else ""


def text(prefix: str, kvs: list[KeyValue], told: list[list[Event]]) -> str:
    """Both sides as text, the keys first."""
    found = [f"keys under {prefix} at revision {told[-1][0].kv.mod_revision}: create, mod, version, bytes"]
    for kv in kvs:
        found.append(f"{_short(kv, prefix)}  {kv.create_revision}  {kv.mod_revision}  {kv.version}  {len(kv.value)}")
    found.append(f"\nwatch {prefix}")
    found += [_line(event, prefix) for events in told[-MOST:] for event in events]
    if len(told[-1]) == 1 and (difference := change(told[-1][0])):
        found.append(f"\n{difference}")
    return "\n".join(found)


def picture(prefix: str, kvs: list[KeyValue], told: list[list[Event]]) -> str:
    """The keys on the left, the watch on the right, what changed below."""
    written = {event.kv.key for event in (told[-1] if told else [])}
    first = next((place for place, kv in enumerate(kvs) if kv.key in written), 0)
    first = max(0, min(first - MOST // 2, len(kvs) - MOST))
    parts = [_text(10, 22, _tail(f"keys under {prefix}", 320), "head")]
    parts += [_text(left + 50, 44, name, "dim", "end") for name, left in COLUMNS]
    for row, kv in enumerate(kvs[first : first + MOST]):
        top = HEAD + row * ROW
        if kv.key in written:
            parts.append(_rect(4, top, SPLIT - 14, ROW - 2, "card good", "#fff", "#2e7d32", 4))
        parts.append(_text(10, top + 14, _tail(_short(kv, prefix), 310), "head" if kv.key in written else ""))
        numbers = (kv.create_revision, kv.mod_revision, kv.version, len(kv.value))
        parts += [
            _text(left + 50, top + 14, str(number), "", "end")
            for (_, left), number in zip(COLUMNS, numbers, strict=True)
        ]
    if len(kvs) > MOST:
        parts.append(_text(10, HEAD + MOST * ROW + 14, f"{len(kvs) - MOST} more", "dim"))
    events = [event for batch in told[-MOST:] for event in batch][-MOST:]
    parts.append(_text(SPLIT + 10, 22, _tail(f"watch {prefix}", WIDTH - SPLIT - 20), "head"))
    for row, event in enumerate(events):
        kind = "head" if told and event in told[-1] else ""
        before = f"{event.kv.mod_revision} {event.type} "
        words = before + _tail(_short(event.kv, prefix), WIDTH - SPLIT - 20 - 7 * len(before))
        parts.append(_text(SPLIT + 10, HEAD + row * ROW + 14, words, kind))
    bottom = HEAD + max(min(len(kvs), MOST + 1), len(events), 1) * ROW + 12
    parts.append(f'<line class="wire" stroke="#b0b4b9" x1="{SPLIT}" x2="{SPLIT}" y1="8" y2="{bottom:.0f}"/>')
    difference = change(told[-1][0]).splitlines() if told and len(told[-1]) == 1 else []
    for row, line in enumerate(difference[:CHANGED]):
        parts.append(_text(10, bottom + 18 + row * 18, line, "head" if line.startswith("+") else "dim"))
    if difference:
        bottom += 18 * min(len(difference), CHANGED) + 8
    return _svg(bottom + 8, parts, f"etcd's keys under {prefix} and a watch")


def _short(kv: KeyValue, prefix: str) -> str:
    """A key without the prefix all have, if that leaves anything."""
    key = kv.key.decode(errors="replace")
    return key.removeprefix(prefix) or key


def _line(event: Event, prefix: str) -> str:
    return f"{event.kv.mod_revision} {event.type} {_short(event.kv, prefix)}"


def _tail(words: str, width: float) -> str:
    """As much of the end as fits: that is what differs between keys."""
    room = int(width / 7)
    return words if len(words) <= room else f"…{words[1 - room :]}"
