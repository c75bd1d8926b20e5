"""What the scheduler decided about a Pod: a row for each node, a column for each plugin that gave scores.

`story` takes a Pod's decisions out of the scheduler's own record, `picture` and `text` show one of them, `MatrixView`
moves from one attempt to the next. A node that was filtered out says by whom and why; the others show each plugin's
score times its weight, the sum, and who won. Left out: plugins that had nothing to say about any node.
"""

import re
from collections.abc import Iterable
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages

Story = dict[str, Any]
Decision = dict[str, Any]

NAME, SUM, ROW, HEAD = 120, 150, 40, 46
"""Widths of the first and the last column, heights of a row and of the heading."""
UNSEEN = "not looked at: another node was tried first, or enough were found"


def story(decisions: Iterable[Decision], pod: str, namespace: str, nodes: list[str]) -> Story:
    """All attempts to place the Pod that had this name last, and the nodes in the order in which they are shown."""
    found = [each for each in decisions if (each["pod"]["namespace"], each["pod"]["name"]) == (namespace, pod)]
    attempts = [each for each in found if each["pod"]["uid"] == found[-1]["pod"]["uid"]]
    known = {node for each in attempts for node in (*each["filtered"], *each["scores"])}
    return {"pod": pod, "attempts": attempts, "nodes": [*nodes, *sorted(known - set(nodes))]}


def summary(decision: Decision) -> str:
    """One sentence about an attempt."""
    refused, left = len(decision["filtered"]), len(decision["scores"])
    if decision["nominated"]:
        return f"{_count(refused, 'node')} filtered out, none left: room is made on {decision['nominated']}"
    if not decision["chosen"]:
        return f"{_count(refused, 'node')} filtered out, none left: the Pod stays Pending"
    how = "the only one left" if left == 1 else "the highest sum"
    if len(decision["ties"]) > 1:
        how = f"{' and '.join(decision['ties'])} are equal, so chance decides"
    return f"{_count(refused, 'node')} filtered out, {left} left; {decision['chosen']} is chosen: {how}"


def picture(told: Story, position: int) -> str:
    """One attempt as a matrix."""
    decision = told["attempts"][position]
    plugins = _plugins(decision)
    width = (WIDTH - NAME - SUM - 20) / max(len(plugins), 1)
    parts = [_text(20, 20, "node", "head")]
    if not plugins:
        parts.append(_text(NAME + 16, 20, "filtered out by", "head"))
    for number, plugin in enumerate(plugins):
        for line, word in enumerate(_wrap(plugin, width)):
            parts.append(_text(NAME + (number + 0.5) * width, 20 + 15 * line, word, "small head", "middle"))
    if plugins:
        parts.append(_text(WIDTH - SUM, 20, "sum", "head"))
    for row, node in enumerate(told["nodes"]):
        top = HEAD + row * ROW
        won = node == decision["chosen"]
        refused = decision["filtered"].get(node)
        kind, stroke = ("good", "#2e7d32") if won else ("bad", "#c62828") if refused else ("", "#b0b4b9")
        parts.append(_rect(10, top, WIDTH - 20, ROW - 6, f"card {kind}" if kind else "box", "#fff", stroke, 6))
        parts.append(_text(20, top + 22, _cut(node, NAME - 16), "head"))
        if refused:
            words = f"✗ {refused['plugin']}: {refused['reason']}"
            parts.append(_text(NAME + 16, top + 22, _cut(words, WIDTH - NAME - 40)))
            continue
        if node not in decision["scores"]:
            parts.append(_text(NAME + 16, top + 22, UNSEEN, "dim"))
        for number, plugin in enumerate(plugins):
            cell = decision["scores"].get(node, {}).get(plugin)
            middle = NAME + (number + 0.5) * width
            parts.append(_text(middle, top + 22, _cell(cell) if cell else "", "", "middle"))
        if node in decision["total"]:
            parts.append(
                _text(WIDTH - SUM, top + 22, f"{decision['total'][node]}{'  ✓ chosen' if won else ''}", "head")
            )
        elif won:
            parts.append(
                _text(NAME + 16, top + 22, "✓ chosen: the only one left, so nobody has to give scores", "head")
            )
    return _svg(HEAD + len(told["nodes"]) * ROW + 6, parts, f"where to put {told['pod']}: {summary(decision)}")


def text(told: Story, position: int) -> str:
    """The same as a table."""
    decision = told["attempts"][position]
    plugins = _plugins(decision)
    lines = [f"where to put {told['pod']}: {summary(decision)}"]
    size = max(len(node) for node in told["nodes"])
    for node in told["nodes"]:
        refused = decision["filtered"].get(node)
        if refused:
            words = f"filtered out by {refused['plugin']}: {refused['reason']}"
        elif node not in decision["scores"]:
            words = UNSEEN
        else:
            scores = decision["scores"].get(node, {})
            cells = [f"{plugin} {_cell(scores[plugin])}" for plugin in plugins if plugin in scores]
            words = f"{', '.join(cells)}; sum {decision['total'][node]}" if cells else "fits"
        lines.append(f"  {node.ljust(size)}  {words}{'  <- chosen' if node == decision['chosen'] else ''}")
    return "\n".join([*lines, *([f"  {decision['message']}"] if decision["message"] else [])])


class MatrixView(Pages):
    """The scheduler's attempts to place one Pod, an attempt a page."""

    def __init__(self, told: Story):
        self.told = told
        super().__init__(f"where the scheduler puts {told['pod']}", len(told["attempts"]))

    def page(self, position: int) -> tuple[str, str, str]:
        caption = f"attempt {position + 1} of {self.last + 1}: {summary(self.told['attempts'][position])}"
        return picture(self.told, position), text(self.told, position), caption


def _plugins(decision: Decision) -> list[str]:
    """The plugins that gave scores, in the order in which they were asked."""
    return list(next(iter(decision["scores"].values()), {}))


def _cell(score: dict[str, int]) -> str:
    if not score["normalized"]:
        return "0"
    weight = score["weighted"] // score["normalized"]
    return f"{score['normalized']} × {weight}" if weight > 1 else str(score["normalized"])


def _wrap(name: str, width: float) -> list[str]:
    """A plugin's name in lines that fit into its column."""
    lines = [""]
    for word in re.findall(r"[A-Z][a-z]*|[^A-Z]+", name):
        if lines[-1] and len(lines[-1] + word) * 7 > width:
            lines.append("")
        lines[-1] += word
    return lines
