"""Some etcd members on a table: kill one, cut a link, write something, and see who leads and what each log holds.

A group of its own, apart from the lab's cluster, in virtual time (k8s_core/etcd/group.py). Everything can be done from
Python, or by pressing a member or a link in the picture. What happened can be gone through again.
"""

import math
from typing import Any

from aetcd.rpc import rpc_pb2

from course.widgets.pictures import WIDTH, _cut, _rect, _svg, _text
from course.widgets.player import Player
from k8s_core.clock import Loop
from k8s_core.etcd.group import Group, Node
from k8s_core.etcd.raft import Entry
from k8s_core.etcd.store import EtcdError

State = dict[str, Any]
LAST = 4  # how many entries of a log are shown
KEPT = 500  # moments
STEP = 0.5  # seconds that a step lets go by
HEADS = ("member", "state", "term", "voted for", "committed", "end of the log")
BOX, TALL, ENTRY = 300, 96, 22
LEGEND = (
    "solid frame = leader, dashed = not, dotted = dead or cut; log: index, term: what, bold = committed. "
    "Press a member or a link to break or mend it."
)


class Quorum(Player):
    """`size` members. Each method says what it did or what the answer was; showing the object draws the picture."""

    def __init__(self, size: int = 3, seed: int = 1, **kwargs: Any):
        super().__init__(label=f"an etcd of {size} members", **kwargs)
        self.group = Group(Loop(0, seed), size, seed=seed)
        self.moments: list[State] = []
        self.group.loop.advance(3)
        self._note(f"{size} members, three seconds after their start")

    # --- asking ---------------------------------------------------------------------------------------------
    def put(self, key: str, value: str, member: int = 0) -> str:
        """Write through a member (the leader if none is named); what it answers, after at most ten seconds."""
        request = rpc_pb2.PutRequest(key=key.encode(), value=value.encode())
        return self._ask("put", request, member, f"put {key} {value}")

    def get(self, key: str, member: int = 0, *, serializable: bool = False) -> str:
        """Read; a serializable read asks nobody else and may be old."""
        request = rpc_pb2.RangeRequest(key=key.encode(), serializable=serializable)
        return self._ask("range", request, member, f"get {key}{', serializable' if serializable else ''}")

    def _ask(self, name: str, request: Any, member: int, words: str) -> str:
        leader = self.group.leader
        node = self.group.nodes[member] if member else leader or next(iter(self.group.nodes.values()))
        answers: list[Any] = []
        node.call(name, request, answers.append)
        for _ in range(100):
            if answers:
                break
            self.group.loop.advance(0.1)
        (answer,) = answers
        if isinstance(answer, EtcdError):
            told = f"Error: {answer.message}"
        elif name == "put":
            told = f"OK, revision {answer.header.revision}"
        else:
            told = str(answer.kvs[0].value.decode()) if answer.kvs else "(nothing)"
        self._note(f"{words}, asked of member {node.id}: {told}")
        return told

    # --- breaking -------------------------------------------------------------------------------------------
    def kill(self, member: int) -> None:
        """End a member's process. Its disk stays."""
        self.group.nodes[member].kill()
        self._note(f"member {member} was killed")

    def start(self, member: int) -> None:
        self.group.nodes[member].start()
        self._note(f"member {member} was started")

    def cut(self, one: int, *others: int) -> None:
        """Cut the links between one member and others (all others if none is named)."""
        for other in others or [id for id in self.group.ids if id != one]:
            self.group.cut.add(frozenset((one, other)))
        self._note(f"links of member {one} were cut")

    def heal(self) -> None:
        """Mend every link."""
        self.group.heal()
        self._note("all links were mended")

    def advance(self, seconds: float) -> None:
        """Let time go by, so that members can notice what has happened."""
        self.group.loop.advance(seconds)
        self._note(f"{seconds:g} s later")

    def act(self, what: str) -> None:
        """What a press does: "member 2" kills or starts that member, "link 1 2" cuts or mends that link."""
        kind, *numbers = what.split()
        ids = [int(number) for number in numbers]
        if kind == "member":
            (self.kill if self.group.nodes[ids[0]].alive else self.start)(ids[0])
            return
        link = frozenset(ids)
        done = "mended" if link in self.group.cut else "cut"
        self.group.cut ^= {link}
        self._note(f"the link between {ids[0]} and {ids[1]} was {done}")

    @property
    def leader(self) -> int:
        """The leader's number; 0 if there is none."""
        return self.group.leader.id if self.group.leader else 0

    @property
    def alive(self) -> list[int]:
        """The members whose process runs."""
        return [node.id for node in self.group.nodes.values() if node.alive]

    # --- showing --------------------------------------------------------------------------------------------
    def forward(self, playing: bool) -> None:
        """Through what happened; at its end time goes on."""
        if self.position < self.last:
            self.position += 1
        else:
            self.advance(STEP)

    def _note(self, what: str) -> None:
        """Remember how things are now, and show it."""
        members = [self._member(node) for node in self.group.nodes.values()]
        cut = sorted(tuple(sorted(pair)) for pair in self.group.cut)
        moment = {"time": self.group.loop.now, "what": what, "members": members, "cut": cut}
        self.moments = [*self.moments, moment][-KEPT:]
        with self.hold_sync():
            self.last = len(self.moments) - 1
            self.position = self.last
            self.draw()

    def _member(self, node: Node) -> State:
        disk, raft = node.disk, node.raft
        first = max(disk.last - LAST, disk.first)
        log = [(first + place + 1, _entry(entry)) for place, entry in enumerate(disk.entries[first - disk.first :])]
        commit = raft.commit if node.alive else 0
        role = raft.role if node.alive else "dead"
        return {"id": node.id, "role": role, "term": disk.term, "vote": disk.vote, "commit": commit, "last": disk.last,
                "log": log}  # fmt: skip

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        moment = self.moments[self.position]
        self.live = self.position == self.last
        self.svg, self.text = picture(moment), text(moment)
        self.caption = f"{moment['time']:.1f} s: {moment['what']}"


def rows(moment: State) -> list[tuple[str, ...]]:
    """A row of HEADS for each member."""
    found: list[tuple[str, ...]] = []
    for m in moment["members"]:
        state = str(m["role"])
        if cut := [other for pair in moment["cut"] if m["id"] in pair for other in pair if other != m["id"]]:
            state += f", cut off from {', '.join(map(str, cut))}"
        log = ", ".join(entry for _, entry in m["log"])
        log = f"... {log}" if m["last"] > LAST else log
        committed = "?" if m["role"] == "dead" else str(m["commit"])
        found.append((str(m["id"]), state, str(m["term"]), str(m["vote"] or "-"), f"{committed} of {m['last']}", log))
    return found


def text(moment: State) -> str:
    """The moment as a table."""
    table = [HEADS, *rows(moment)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([f"{moment['time']:.1f} s: {moment['what']}", *lines])


def picture(moment: State) -> str:
    """The members in a circle with the links between them, each with its term, its vote and the end of its log."""
    members = moment["members"]
    across, high = WIDTH / 2 - BOX / 2 - 10, 120 + 30 * len(members)
    tall = TALL + ENTRY * LAST
    middle = (WIDTH / 2, high + tall / 2 + 10)
    places = {}
    for number, m in enumerate(members):
        turn = 2 * math.pi * number / len(members) - math.pi / 2
        places[m["id"]] = (middle[0] + across * math.cos(turn), middle[1] + high * math.sin(turn))
    parts = []
    for number, one in enumerate(members):
        for two in members[number + 1 :]:
            parts.append(_link(places[one["id"]], places[two["id"]], (one["id"], two["id"]), moment["cut"]))
    parts += [_box(m, *places[m["id"]], tall) for m in members]
    bottom = max(y for _, y in places.values()) + tall / 2 + 24
    parts.append(_text(10, bottom, LEGEND, "dim"))
    return _svg(bottom + 14, parts, f"etcd members: {moment['what']}")


def _link(one: tuple[float, float], two: tuple[float, float], ids: tuple[int, int], cut: list[tuple[int, ...]]) -> str:
    broken = ids in cut
    kind, stroke = ("wire bad", "#c62828") if broken else ("wire", "#b0b4b9")
    x, y = (one[0] + two[0]) / 2, (one[1] + two[1]) / 2
    said = f"link {ids[0]} to {ids[1]}: {'cut, press to mend it' if broken else 'press to cut it'}"
    line = f'x1="{one[0]:.0f}" y1="{one[1]:.0f}" x2="{two[0]:.0f}" y2="{two[1]:.0f}"'
    return (
        f'<g role="button" tabindex="0" data-act="link {ids[0]} {ids[1]}"><title>{said}</title>'
        f'<line stroke="transparent" stroke-width="16" {line}/>'
        f'<line class="{kind}" stroke="{stroke}" stroke-width="3" {line}/>'
        + (_text(x, y + 6, "✕", "head", "middle") if broken else "")
        + "</g>"
    )


def _box(m: State, x: float, y: float, tall: float) -> str:
    kind, stroke = {"leader": ("good", "#2e7d32"), "dead": ("bad", "#c62828")}.get(m["role"], ("wait", "#b26a00"))
    left, top = x - BOX / 2, y - tall / 2
    said = f"member {m['id']}, {m['role']}: press to {'start' if m['role'] == 'dead' else 'kill'} it"
    parts = [
        f'<g role="button" tabindex="0" data-act="member {m["id"]}"><title>{said}</title>',
        _rect(left, top, BOX, tall, f"card {kind}", "#fff", stroke),
        _text(left + 12, top + 22, f"member {m['id']}: {m['role']}", "head"),
        _text(left + 12, top + 40, f"term {m['term']}, voted for {m['vote'] or 'nobody'}", "dim"),
        _text(
            left + 12, top + 58, f"log: {m['commit'] if m['role'] != 'dead' else '?'} of {m['last']} committed", "dim"
        ),
    ]
    for place, (index, entry) in enumerate(m["log"]):
        committed = index <= m["commit"]
        parts.append(
            _text(left + 24, top + 80 + place * ENTRY, _cut(f"{index}.  {entry}", BOX - 40), "head" * committed)
        )
    return "".join([*parts, "</g>"])


def _entry(entry: Entry) -> str:
    """An entry as its term and what it does."""
    if not entry.name:
        return f"{entry.term}: new leader"
    put = rpc_pb2.PutRequest.FromString(entry.data)
    return f"{entry.term}: {put.key.decode()}={put.value.decode()}"
