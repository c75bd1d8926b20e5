"""The three ports of a NodePort Service on one picture: the nodes', the Service's, the Pods'."""

from typing import Any

from course.widgets.pictures import _cut, _rect, _svg, _text
from course.widgets.player import Pages
from course.widgets.services import line

Told = dict[str, Any]
"""{name, address, nodePort, port, targetPort, nodes: [(name, address)], pods: [(name, address:port)]}."""
PORTS = (
    ("nodePort", "every node listens; clients outside use it"),
    ("port", "the Service's own, at its cluster IP; Pods use it"),
    ("targetPort", "the Pods' programs listen; nobody need know it"),
)


def picture(told: Told, position: int) -> str:
    """Client, nodes, Service and Pods from left to right, each with its port; `position` 0 to 2 marks one."""
    nodes, pods = told["nodes"], told["pods"]
    height = 76 + max(len(nodes), len(pods), 2) * 46
    parts, boxes = [], []
    middle = 60 + (height - 76) / 2
    columns = ((20, 150, "client"), (240, 190, "nodes"), (500, 190, "Service"), (740, 200, "Pods"))
    for x, _, title in columns:
        boxes.append(_text(x, 28, title, "dim"))
    boxes += [_rect(20, middle - 18, 150, 36, "box", "#f1f3f4", "#b0b4b9"), _text(32, middle + 5, "outside")]
    for index, (name, address) in enumerate(nodes):
        y = 52 + index * 46
        now = " now" if position == 0 else ""
        parts.append(line(170, middle, 240, y + 18))
        parts.append(line(430, y + 18, 500, middle))
        boxes.append(_rect(240, y, 190, 36, f"box{now}", "#f1f3f4", "#b0b4b9"))
        boxes.append(_text(252, y + 15, _cut(name, 170), "small"))
        boxes.append(_text(252, y + 30, _cut(f"{address}:{told['nodePort'] or 'none'}", 170), "head small"))
    now = " now" if position == 1 else ""
    boxes.append(_rect(500, middle - 24, 190, 48, f"box{now}", "#f1f3f4", "#b0b4b9", 20))
    boxes.append(_text(516, middle - 5, _cut(told["name"], 160)))
    boxes.append(_text(516, middle + 13, _cut(f"{told['address']}:{told['port']}", 160), "head small"))
    for index, (name, address) in enumerate(pods):
        y = 52 + index * 46
        now = " now" if position == 2 else ""
        parts.append(line(690, middle, 740, y + 18))
        boxes.append(_rect(740, y, 200, 36, f"card good{now}", "#fff", "#2e7d32", 6))
        boxes.append(_text(752, y + 15, _cut(name, 180), "small"))
        boxes.append(_text(752, y + 30, _cut(address, 180), "head small"))
    return _svg(height, parts + boxes, f"the three ports of {told['name']}")


class PortsView(Pages):
    """One port of the three after the other; at last all of them."""

    def __init__(self, told: Told):
        self.told = told
        super().__init__(f"the three ports of {told['name']}", len(PORTS) + 1)

    def page(self, position: int) -> tuple[str, str, str]:
        told = self.told
        lines = [f"{name} {told[name] or 'none'}: {words}" for name, words in PORTS]
        captions = [*lines, f"{told['nodePort']} → {told['port']} → {told['targetPort']}"]
        return picture(told, position), "\n".join(lines), captions[position]
