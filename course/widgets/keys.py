"""etcd's keys with their numbers, and what changed between two revisions: the whole cluster's past, key by key.

Shown as a table, the same in text and in HTML. Reads the lab's own etcd; nothing here changes it.
"""

import difflib
import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8s_core.etcd.store import KeyValue, prefix_end

if TYPE_CHECKING:
    from course.lab import Lab

HEADS = ("key", "create", "mod", "version", "bytes")


class Table:
    """Rows under heads, as text and as HTML."""

    def __init__(self, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], after: str = ""):
        self.heads, self.rows, self.after = heads, rows, after

    def __repr__(self) -> str:
        table = [self.heads, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(self.heads))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return "\n".join(lines) + (f"\n\n{self.after}" if self.after else "")

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{each}</th>" for each in self.heads)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in self.rows)
        after = f"<pre>{html.escape(self.after)}</pre>" if self.after else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{after}"


def _at(lab: "Lab", prefix: str, revision: int) -> dict[str, KeyValue]:
    with lab.cluster.lock:
        start = prefix.encode()
        found = lab.cluster.etcd.range(start, prefix_end(start), revision=revision).kvs
    return {kv.key.decode(): kv for kv in found}


def keys(lab: "Lab", prefix: str = "/registry/", revision: int = 0) -> Table:
    """Every key that begins with `prefix`, as it was at a revision (0: now). EtcdError if that was compacted."""
    rows = [
        (key, str(kv.create_revision), str(kv.mod_revision), str(kv.version), str(len(kv.value)))
        for key, kv in _at(lab, prefix, revision).items()
    ]
    return Table(HEADS, rows)


def difference(lab: "Lab", first: int, second: int = 0, prefix: str = "/registry/") -> Table:
    """What a revision has that another had not; with the changed lines, if only one key changed."""
    before, after = _at(lab, prefix, first), _at(lab, prefix, second)
    rows = [("new", key) for key in after if key not in before]
    rows += [("gone", key) for key in before if key not in after]
    changed = [key for key in after if key in before and before[key] != after[key]]
    rows += [("changed", key) for key in changed]
    what = ""
    if len(rows) == len(changed) == 1:
        what = lines(before[changed[0]].value, after[changed[0]].value)
    return Table(("what", "key"), sorted(rows, key=lambda row: row[1]), what)


def lines(before: bytes, after: bytes) -> str:
    """What differs between two values, JSON or not: old lines with -, new ones with +; managedFields are left out."""
    try:
        old, new = (_object(value) for value in (before, after))
    except ValueError:
        old, new = (value.decode(errors="replace").splitlines() for value in (before, after))
    changed = difflib.unified_diff(old, new, lineterm="", n=0)
    return "\n".join(line for line in changed if not line.startswith(("---", "+++", "@@")))


def _object(value: bytes) -> list[str]:
    found = json.loads(value)
    if isinstance(found, dict) and isinstance(found.get("metadata"), dict):
        found["metadata"].pop("managedFields", None)
    return json.dumps(found, indent=2).splitlines()
