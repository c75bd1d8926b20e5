"""Three etcd members on a table: kill one, cut a link, write something, and see who leads and what each log holds.

A group of its own, apart from the lab's cluster, in virtual time (k8s_core/etcd/group.py). Shown as a table, the same
in text and in HTML, so that it can be read without colours and printed.
"""

import html
from typing import Any

from aetcd.rpc import rpc_pb2

from k8s_core.clock import Loop
from k8s_core.etcd.group import Group, Node
from k8s_core.etcd.raft import Entry
from k8s_core.etcd.store import EtcdError

LAST = 4  # how many entries of a log are shown
HEADS = ("member", "state", "term", "voted for", "committed", "end of the log")


class Quorum:
    """`size` members. Each method says what it did or what the answer was; showing the object draws the table."""

    def __init__(self, size: int = 3, seed: int = 1):
        self.group = Group(Loop(0, seed), size, seed=seed)
        self.group.loop.advance(3)

    # --- asking ---------------------------------------------------------------------------------------------
    def put(self, key: str, value: str, member: int = 0) -> str:
        """Write through a member (the leader if none is named); what it answers, after at most ten seconds."""
        return self._ask("put", rpc_pb2.PutRequest(key=key.encode(), value=value.encode()), member)

    def get(self, key: str, member: int = 0, *, serializable: bool = False) -> str:
        """Read; a serializable read asks nobody else and may be old."""
        return self._ask("range", rpc_pb2.RangeRequest(key=key.encode(), serializable=serializable), member)

    def _ask(self, name: str, request: Any, member: int) -> str:
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
            return f"Error: {answer.message}"
        if name == "put":
            return f"OK, revision {answer.header.revision}"
        return str(answer.kvs[0].value.decode()) if answer.kvs else "(nothing)"

    # --- breaking -------------------------------------------------------------------------------------------
    def kill(self, member: int) -> None:
        """End a member's process. Its disk stays."""
        self.group.nodes[member].kill()

    def start(self, member: int) -> None:
        self.group.nodes[member].start()

    def cut(self, one: int, *others: int) -> None:
        """Cut the links between one member and others (all others if none is named)."""
        for other in others or [id for id in self.group.ids if id != one]:
            self.group.cut.add(frozenset((one, other)))

    def heal(self) -> None:
        """Mend every link."""
        self.group.heal()

    def advance(self, seconds: float) -> None:
        self.group.loop.advance(seconds)

    @property
    def leader(self) -> int:
        """The leader's number; 0 if there is none."""
        return self.group.leader.id if self.group.leader else 0

    # --- showing --------------------------------------------------------------------------------------------
    def rows(self) -> list[tuple[str, ...]]:
        return [self._row(node) for node in self.group.nodes.values()]

    def _row(self, node: Node) -> tuple[str, ...]:
        disk = node.disk
        state = node.raft.role if node.alive else "dead"
        cut = sorted(id for pair in self.group.cut if node.id in pair for id in pair if id != node.id)
        if cut:
            state += f", cut off from {', '.join(map(str, cut))}"
        log = ", ".join(_entry(entry) for entry in disk.entries[-LAST:])
        log = f"... {log}" if disk.last > LAST else log
        committed = str(node.raft.commit) if node.alive else "?"
        return (str(node.id), state, str(disk.term), str(disk.vote or "-"), f"{committed} of {disk.last}", log)

    def __repr__(self) -> str:
        table = [HEADS, *self.rows()]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{each}</th>" for each in HEADS)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in self.rows())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _entry(entry: Entry) -> str:
    """An entry as its term and what it does."""
    if not entry.name:
        return f"{entry.term}: new leader"
    put = rpc_pb2.PutRequest.FromString(entry.data)
    return f"{entry.term}: {put.key.decode()}={put.value.decode()}"
