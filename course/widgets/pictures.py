"""Pictures from plain data: `cluster` from what `state` says, `sequence` from the steps of a request.

Light and dark come from JupyterLab's colours where there are any, else from what the reader's system prefers; where
styles are stripped (some web pages) the plain attributes give a light picture on its own paper. No state is told by
colour alone.
"""

from html import escape
from typing import Any

State = dict[str, Any]
Step = dict[str, Any]

STYLE = """<style>
.k8s{--ink:var(--jp-ui-font-color1,#1c1c1c);--dim:var(--jp-ui-font-color2,#5f6368);--paper:var(--jp-layout-color1,#fff);
--soft:var(--jp-layout-color2,#f1f3f4);--line:var(--jp-border-color1,#b0b4b9);--good:#2e7d32;--wait:#b26a00;--bad:#c62828;
--call:var(--jp-brand-color1,#1565c0)}
@media (prefers-color-scheme:dark){.k8s{--ink:var(--jp-ui-font-color1,#e8eaed);--dim:var(--jp-ui-font-color2,#a8adb3);
--paper:var(--jp-layout-color1,#1b1c1e);--soft:var(--jp-layout-color2,#2a2c2f);--line:var(--jp-border-color1,#5f6368);
--call:var(--jp-brand-color1,#8ab4f8);--good:#66bb6a;--wait:#ffb74d;--bad:#ef7a76}}
.k8s text{fill:var(--ink);font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px}
.k8s .dim{fill:var(--dim);font-size:12px}.k8s .head{font-weight:600}.k8s .small{font-size:11.5px}
.k8s .paper{fill:var(--paper)}
.k8s .box{fill:var(--soft);stroke:var(--line)}.k8s .card{fill:var(--paper);stroke-width:2}
.k8s .full{fill:var(--good)}.k8s .good{stroke:var(--good)}.k8s .wait{stroke:var(--wait);stroke-dasharray:5 3}
.k8s .bad{stroke:var(--bad);stroke-dasharray:2 2}.k8s .over{paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.k8s .wire{stroke:var(--line);fill:none}.k8s .call{stroke:var(--call);fill:none}.k8s .tip{fill:var(--call)}
.k8s .watch{stroke:var(--dim);fill:none;stroke-dasharray:4 3}.k8s .watchtip{fill:var(--dim)}.k8s .now{stroke-width:3}
</style>"""

_FALLBACK = {"good": "#2e7d32", "wait": "#b26a00", "bad": "#c62828"}
_GOOD = {"Running", "Completed", "Succeeded"}
_WAIT = {"Pending", "ContainerCreating", "PodInitializing", "Terminating"}

WIDTH = 960
CARD = 40


def cluster(state: State) -> str:
    """Nodes with their Pods, Pods without a node, and Services with a line to each of their ready Pods."""
    columns = [*state["nodes"]]
    if state["unscheduled"]:
        columns.append({"name": "no node yet", "status": "waiting for the scheduler", "pods": state["unscheduled"]})
    width = (WIDTH - 10) / max(len(columns), 1)
    tallest = max((len(column["pods"]) for column in columns), default=0)
    bottom = 58 + tallest * (CARD + 6) + (22 if any(column.get("hidden") for column in columns) else 0)
    services_at = bottom + 48
    height = services_at + 52 if state["services"] else bottom + 12
    parts: list[str] = []
    pods: list[str] = []
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        left = 10 + number * width
        parts.append(_rect(left, 8, width - 10, bottom - 8, "box", "#f1f3f4", "#b0b4b9"))
        parts.append(_text(left + 12, 28, column["name"], "head"))
        parts.append(_text(left + 12, 44, column["status"], "dim"))
        for row, pod in enumerate(column["pods"]):
            top = 54 + row * (CARD + 6)
            places[f"{pod['namespace']}/{pod['name']}"] = (left + (width - 10) / 2, top + CARD)
            pods.append(_pod(left + 8, top, width - 26, pod, state["namespaces"]))
        if column.get("hidden"):
            parts.append(_text(left + 12, bottom - 10, f"+ {column['hidden']} of kube-system", "dim"))
    wires, boxes = [], []
    gap = (WIDTH - 10) / max(len(state["services"]), 1)
    for number, service in enumerate(state["services"]):
        left, size = 10 + number * gap, min(gap - 10, 300)
        for pod in service["pods"]:
            if pod in places:
                x, y = places[pod]
                wires.append(
                    f'<path class="wire" stroke="#b0b4b9" fill="none" '
                    f'd="M{left + size / 2:.0f},{services_at} L{x:.0f},{y:.0f}"/>'
                )
        boxes.append(_rect(left, services_at, size, 40, "box", "#f1f3f4", "#b0b4b9", 20))
        boxes.append(_text(left + 16, services_at + 17, _cut(f"Service {service['name']}", size - 24), "head"))
        boxes.append(_text(left + 16, services_at + 33, _cut(service["address"], size - 24), "dim"))
    return _svg(height, parts + wires + pods + boxes, f"cluster at revision {state['revision']}: {summary(state)}")


def summary(state: State) -> str:
    """One sentence, for captions and screen readers."""
    pods = [pod for node in state["nodes"] for pod in node["pods"]] + state["unscheduled"]
    running = sum(pod["status"] == "Running" for pod in pods)
    services = f", {_count(len(state['services']), 'Service')}" if state["services"] else ""
    return f"{_count(len(state['nodes']), 'node')}, {_count(len(pods), 'Pod')} ({running} running){services}"


def cluster_text(state: State) -> str:
    """The same as text."""
    lines = [f"revision {state['revision']}, {state['time']}: {summary(state)}"]
    for node in state["nodes"]:
        lines.append(f"node {node['name']} ({node['status']})")
        lines += [f"  {_line(pod, state)}" for pod in node["pods"]]
        if node.get("hidden"):
            lines.append(f"  and {node['hidden']} of kube-system")
    for pod in state["unscheduled"]:
        lines.append(f"no node yet: {_line(pod, state)}")
    for service in state["services"]:
        pods = ", ".join(pod.split("/", 1)[1] for pod in service["pods"]) or "no Pods"
        lines.append(f"Service {service['name']} {service['address']} -> {pods}")
    return "\n".join(lines)


def sequence(actors: list[str], steps: list[Step], position: int | None = None) -> str:
    """One request's way: a line down for each actor, an arrow for each step; steps up to `position` are drawn.

    A step is {"from", "to", "text", "time"}; "watch": True marks news that a watch brings (dashed).
    """
    gap = WIDTH / max(len(actors), 1)
    x = {actor: gap * (number + 0.5) for number, actor in enumerate(actors)}
    shown = steps if position is None else steps[: position + 1]
    row, top = 32, 58
    height = top + row * len(steps) + 14
    parts = [_ARROWS]
    for actor in actors:
        parts.append(
            f'<line class="wire" stroke="#b0b4b9" x1="{x[actor]:.0f}" x2="{x[actor]:.0f}" y1="{top - 8}" '
            f'y2="{height - 6}"/>'
        )
        parts.append(_rect(x[actor] - gap / 2 + 4, 8, gap - 8, 42, "box", "#f1f3f4", "#b0b4b9"))
        first, _, second = actor.partition(" ")
        small = "head small" if len(first) * 8 > gap - 10 else "head"
        parts.append(_text(x[actor], 26 if second else 34, _cut(first, gap), small, "middle"))
        parts.append(_text(x[actor], 43, _cut(second, gap - 10), "dim", "middle"))
    for number, step in enumerate(shown):
        y = top + row * number + 24
        start, end = x[step["from"]], x[step["to"]]
        text = f"{number + 1}. {step['text']}"
        if start == end:  # something that one component does by itself
            parts.append(f'<circle class="tip" fill="#1565c0" cx="{start:.0f}" cy="{y - 4}" r="4"/>')
            parts.append(_text(start + 10, y, _cut(text, WIDTH - start - 16), "dim over"))
            continue
        kind = "watch" if step.get("watch") else "call"
        now = " now" if position is not None and number == len(shown) - 1 else ""
        colour = "#5f6368" if kind == "watch" else "#1565c0"
        dashes = ' stroke-dasharray="4 3"' if kind == "watch" else ""
        parts.append(
            f'<path class="{kind}{now}" stroke="{colour}" fill="none"{dashes} marker-end="url(#k8s-{kind})" '
            f'd="M{start:.0f},{y} L{end + (2 if end < start else -2):.0f},{y}"/>'
        )
        room = min(len(text) * 7 + 14, WIDTH - 8)
        middle = min(max((start + end) / 2, room / 2), WIDTH - room / 2)
        parts.append(_text(middle, y - 6, _cut(text, room), "dim over", "middle"))
    return _svg(height, parts, f"the way of a request in {_count(len(steps), 'step')}")


def sequence_text(steps: list[Step]) -> str:
    """The same as text, a line a step."""
    return "\n".join(
        f"{number:>3}. {step['time']:>7}  {step['from']} {'~>' if step.get('watch') else '->'} {step['to']}: "
        + step["text"]
        for number, step in enumerate(steps, 1)
    )


_ARROWS = "<defs>{}</defs>".format(
    "".join(
        f'<marker id="k8s-{kind}" markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="8" refX="7" refY="4" '
        f'orient="auto"><path class="{tip}" fill="{colour}" d="M0,0 L8,4 L0,8 z"/></marker>'
        for kind, tip, colour in (("call", "tip", "#1565c0"), ("watch", "watchtip", "#5f6368"))
    )
)


def _svg(height: float, parts: list[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="k8s" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="13">'
        f"<title>{escape(title)}</title>{STYLE}"
        f'<rect class="paper" fill="#fff" width="{WIDTH}" height="{height:.0f}"/>{"".join(parts)}</svg>'
    )


def _pod(left: float, top: float, width: float, pod: State, namespaces: int) -> str:
    waiting = pod["status"] in _WAIT or (pod["status"].startswith("Init:") and pod["status"][5:6].isdigit())
    kind = "good" if pod["status"] in _GOOD else "wait" if waiting else "bad"
    name = _name(pod, namespaces)
    facts = f"{pod['status']} · {pod['ready']} ready{_ip(pod)}"
    return (
        f"<g><title>{escape(facts)}</title>"
        + _rect(left, top, width, CARD, f"card {kind}", "#fff", _FALLBACK[kind], 6)
        + _text(left + 10, top + 17, _cut(name, width - 16))
        + _text(left + 10, top + 33, _cut(facts, width - 16), "dim")
        + "</g>"
    )


def _rect(x: float, y: float, w: float, h: float, kind: str, fill: str, stroke: str, radius: int = 8) -> str:
    return (
        f'<rect class="{kind}" fill="{fill}" stroke="{stroke}" x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" '
        f'height="{h:.0f}" rx="{radius}"/>'
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    marks = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    if "head" in kind:
        marks += ' font-weight="600"'
    return f'<text{marks} x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'


def _cut(text: str, width: float) -> str:
    """As much of the text as fits; 7 is a letter's width at 13 px."""
    room = int(width / 7)
    return text if len(text) <= room else text[: room - 1] + "…"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _line(pod: State, state: State) -> str:
    return f"Pod {_name(pod, state['namespaces'])}: {pod['status']}, {pod['ready']} ready{_ip(pod)}"


def _name(pod: State, namespaces: int) -> str:
    return str(pod["name"]) if namespaces == 1 else f"{pod['namespace']}/{pod['name']}"


def _ip(pod: State) -> str:
    return f" · {pod['ip']}" if pod["ip"] else ""
