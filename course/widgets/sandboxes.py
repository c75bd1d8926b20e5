"""What a container runtime has: on each node the sandboxes, in each the pause process and the containers of one Pod.

`story` reads it off the nodes' runtimes as plain data, `picture` and `text` show one node, `SandboxesView` goes from
node to node. It is how things are now: a runtime keeps no history. Containers that belong to no Pod stand apart.
"""

from collections.abc import Iterable
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages
from k8s_core.kubelet.container import Container
from k8s_core.kubelet.runtime import Runtime

Story = dict[str, Any]

SHORT = 13
"""As many letters of an id as crictl shows."""
COLUMNS, HEAD, CARD = 3, 74, 46
_STATES = {"CONTAINER_RUNNING": "Running", "CONTAINER_EXITED": "Exited", "CONTAINER_CREATED": "Created"}


def story(runtimes: Iterable[tuple[str, Runtime]], pods: Iterable[tuple[str, str]] = ()) -> list[Story]:
    """Each node's sandboxes with their containers; only those of `pods` (namespace, name) if any are given."""
    wanted, found = set(pods), list[Story]()
    for node, runtime in runtimes:
        boxes: list[Story] = [
            {
                "pod": f"{box.namespace}/{box.name}",
                "id": box.id,
                "ready": box.ready,
                "address": box.network.address,
                "pause": box.shim + 1,
                "containers": [_container(each) for each in box.containers],
            }
            for box in sorted(runtime.sandboxes.values(), key=lambda box: (box.namespace, box.name, box.created))
            if box.uid and (not wanted or (box.namespace, box.name) in wanted)
        ]
        known = {each["id"] for box in boxes for each in box["containers"]}
        alone = [_container(c) for c in runtime.containers.values() if not c.sandbox.uid and c.id not in known]
        found.append({"node": node, "sandboxes": boxes, "alone": [] if wanted else alone})
    return [node for node in found if node["sandboxes"] or node["alone"] or not wanted]


def summary(node: Story) -> str:
    """One sentence about a node."""
    inside = sum(len(box["containers"]) for box in node["sandboxes"])
    more = f", {_count(len(node['alone']), 'container')} without a Pod" if node["alone"] else ""
    return f"{node['node']}: {_count(len(node['sandboxes']), 'Pod')} with {_count(inside, 'container')}{more}"


def picture(node: Story) -> str:
    """One node: a box for each sandbox, in it a card for the pause process and for each container."""
    width = (WIDTH - 10) / COLUMNS
    tops = [10.0] * COLUMNS
    parts: list[str] = []
    boxes = [(box["pod"].partition("/")[2], box) for box in node["sandboxes"]]
    if node["alone"]:
        boxes.append(("no Pod", {"containers": node["alone"]}))
    for title, box in boxes:
        column = tops.index(min(tops))
        left, top = 10 + column * width, tops[column]
        cards = len(box["containers"]) + ("id" in box)
        height = HEAD + cards * (CARD + 6)
        parts.append(_rect(left, top, width - 12, height, "box", "#f1f3f4", "#b0b4b9"))
        parts.append(_text(left + 12, top + 20, _cut(title, width - 34), "head"))
        about = ["containerd's namespace default"]
        if "id" in box:
            namespace = box["pod"].partition("/")[0]
            about = [f"Pod of {namespace}, {box['address']}", f"sandbox {box['id'][:SHORT]}"]
        for line, words in enumerate(about):
            parts.append(_text(left + 12, top + 37 + 16 * line, _cut(words, width - 20), "dim"))
        y = top + HEAD - 10
        if "id" in box:
            kind, stroke = ("good", "#2e7d32") if box["ready"] else ("bad", "#c62828")
            what = "holds the network namespace" if box["ready"] else "has ended"
            parts += _card(left + 8, y, width - 28, f"pause, process {box['pause']}", what, kind, stroke)
            y += CARD + 6
        for each in box["containers"]:
            kind, stroke = ("good", "#2e7d32") if each["state"] == "Running" else ("bad", "#c62828")
            facts = f"{each['state']}, {each['image'].rpartition('/')[2]}, {each['id'][:SHORT]}"
            again = f", attempt {each['attempt']}" if each["attempt"] else ""
            parts += _card(left + 8, y, width - 28, each["name"] + again, facts, kind, stroke)
            y += CARD + 6
        tops[column] += height + 10
    return _svg(max(tops), parts, f"containers of {summary(node)}")


def text(node: Story) -> str:
    """The same as lines."""
    lines = [summary(node)]
    for box in node["sandboxes"]:
        state = "" if box["ready"] else ", not ready"
        lines.append(f"  Pod {box['pod']}: sandbox {box['id'][:SHORT]}, {box['address']}{state}")
        lines += [f"    {_line(each)}" for each in box["containers"]]
    if node["alone"]:
        lines.append("  no Pod:")
        lines += [f"    {_line(each)}" for each in node["alone"]]
    return "\n".join(lines)


class SandboxesView(Pages):
    """The nodes' sandboxes, a node a page, from the first one on."""

    def __init__(self, told: list[Story]):
        self.told = told
        super().__init__("sandboxes and containers, node by node", len(told))
        self.position = 0

    def page(self, position: int) -> tuple[str, str, str]:
        node = self.told[position]
        return picture(node), text(node), f"node {position + 1} of {self.last + 1}, {summary(node)}"


def _container(container: Container) -> Story:
    return {
        "name": container.name,
        "id": container.id,
        "image": container.config.image.name,
        "state": _STATES[container.state],
        "attempt": container.config.attempt,
    }


def _line(each: Story) -> str:
    again = f", attempt {each['attempt']}" if each["attempt"] else ""
    return f"{each['id'][:SHORT]}  {each['name']} ({each['image']}): {each['state']}{again}"


def _card(left: float, top: float, width: float, title: str, facts: str, kind: str, stroke: str) -> list[str]:
    return [
        _rect(left, top, width, CARD, f"card {kind}", "#fff", stroke, 6),
        _text(left + 10, top + 19, _cut(title, width - 16)),
        _text(left + 10, top + 37, _cut(facts, width - 16), "small"),
    ]
