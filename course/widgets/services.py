"""A Service as a picture: the Service, its EndpointSlices and the Pods they name, ready or not, at any past moment.

`story` reads it out of the cluster's history as plain data, `picture` and `text` show it, `ServiceView` follows it.
"""

from collections.abc import Callable
from typing import Any

from course.status import pod_status
from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import ClusterView
from course.widgets.state import elapsed
from k8s_core.api.selectors import from_labels
from k8s_core.history import History

Story = dict[str, Any]
SLICES = "endpointslices.discovery.k8s.io"
ROW, TOP = 44, 52
LOOKS = {"ready": ("good", "#2e7d32"), "not ready": ("wait", "#b26a00"), "ending": ("bad", "#c62828")}
"""An endpoint's state: the look of its box. What is not listed, or no endpoint, is drawn plain."""


def story(history: History, name: str, namespace: str, revision: int, start: float) -> Story:
    """The Service, its slices' endpoints and the Pods that its selector finds, at a revision."""
    services = history.objects("services", revision, namespace)
    service = next((s for s in services if s["metadata"]["name"] == name), None)
    found: Story = {"name": name, "time": elapsed(history.time_of(revision) - start), "revision": revision}
    if service is None:
        return {**found, "service": None, "slices": [], "others": []}
    spec = service["spec"]
    pods = {p["metadata"]["name"]: p for p in history.objects("pods", revision, namespace)}
    slices = [
        {
            "name": piece["metadata"]["name"],
            "ports": ", ".join(
                f"{p.get('port')}" + (f" ({p['name']})" if p.get("name") else "") for p in piece.get("ports") or ()
            ),
            "endpoints": [_endpoint(each, pods) for each in piece.get("endpoints") or ()],
        }
        for piece in history.objects(SLICES, revision, namespace)
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
    ]
    listed = {each["pod"] for piece in slices for each in piece["endpoints"]}
    selector = spec.get("selector") or {}
    chosen = [p for p in pods.values() if selector and from_labels(selector).matches(p["metadata"].get("labels") or {})]
    ports = [
        f"{p['port']}" + (f" (node port {p['nodePort']})" if p.get("nodePort") else "") for p in spec.get("ports") or ()
    ]
    return {
        **found,
        "service": {
            "type": spec.get("type", "ClusterIP"),
            "address": spec.get("clusterIP") or spec.get("externalName") or "",
            "ports": ", ".join(ports),
            "selector": ",".join(f"{k}={v}" for k, v in selector.items()) or "no selector",
        },
        "slices": slices,
        "others": [
            {"pod": p["metadata"]["name"], "status": pod_status(p), "node": p["spec"].get("nodeName", "")}
            for p in chosen
            if p["metadata"]["name"] not in listed
        ],
    }


def _endpoint(endpoint: dict[str, Any], pods: dict[str, dict[str, Any]]) -> dict[str, str]:
    conditions = endpoint.get("conditions") or {}
    target = (endpoint.get("targetRef") or {}).get("name", "")
    kind = "ending" if conditions.get("terminating") else "not ready" if conditions.get("ready") is False else "ready"
    pod = pods.get(target)
    return {
        "address": ", ".join(endpoint.get("addresses") or ()),
        "pod": target,
        "node": endpoint.get("nodeName") or "",
        "state": kind,
        "status": pod_status(pod) if pod else "",
    }


def summary(found: Story) -> str:
    """One sentence."""
    if found["service"] is None:
        return f"there is no Service {found['name']}"
    endpoints = [e for piece in found["slices"] for e in piece["endpoints"]]
    ready = sum(e["state"] == "ready" for e in endpoints)
    return f"{_count(len(found['slices']), 'slice')}, {_count(len(endpoints), 'endpoint')}, {ready} ready"


def picture(found: Story) -> str:
    """Three columns: the Service, its slices, the endpoints."""
    if found["service"] is None:
        return _svg(70, [_text(20, 40, f"There is no Service {found['name']}.", "head")], summary(found))
    rows = max(1, sum(max(1, len(s["endpoints"])) for s in found["slices"])) + len(found["others"])
    height = TOP + rows * ROW + 12
    service = found["service"]
    titles = (("Service", 20), ("EndpointSlices", 350), ("endpoints", 620))
    parts = [_text(x, 30, title, "dim") for title, x in titles]
    boxes = [
        _rect(20, TOP, 260, 84, "box", "#f1f3f4", "#b0b4b9"),
        _text(32, TOP + 20, _cut(found["name"], 240), "head"),
        _text(32, TOP + 38, _cut(f"{service['type']} {service['address']}", 240)),
        _text(32, TOP + 56, _cut(f"port {service['ports']}", 240)),
        _text(32, TOP + 74, _cut(service["selector"], 240), "dim"),
    ]
    y = TOP
    for piece in found["slices"]:
        size = max(1, len(piece["endpoints"]))
        middle = y + size * ROW / 2 - 4
        parts.append(line(280, TOP + 42, 350, middle))
        boxes.append(_rect(350, middle - 18, 200, 36, "box", "#f1f3f4", "#b0b4b9"))
        boxes.append(_text(362, middle - 3, _cut(piece["name"], 184), "head small"))
        boxes.append(_text(362, middle + 12, _cut(f"port {piece['ports'] or 'none'}", 184), "dim"))
        for endpoint in piece["endpoints"]:
            kind, colour = LOOKS[endpoint["state"]]
            parts.append(line(550, middle, 620, y + 18, solid=endpoint["state"] == "ready"))
            boxes.append(_rect(620, y, WIDTH - 640, ROW - 8, f"card {kind}", "#fff", colour, 6))
            boxes.append(_text(632, y + 15, _cut(f"{endpoint['address']} {endpoint['state']}", WIDTH - 664)))
            about = " · ".join(filter(None, (endpoint["pod"], endpoint["status"], endpoint["node"])))
            boxes.append(_text(632, y + 30, _cut(about or "no Pod", WIDTH - 664), "dim"))
            y += ROW
        y += 0 if piece["endpoints"] else ROW
    y = y if found["slices"] else y + ROW
    for other in found["others"]:
        boxes.append(_rect(620, y, WIDTH - 640, ROW - 8, "box", "#f1f3f4", "#b0b4b9", 6))
        boxes.append(_text(632, y + 15, _cut(f"{other['pod']}: not in a slice", WIDTH - 664)))
        boxes.append(_text(632, y + 30, _cut(f"{other['status']} {other['node']}", WIDTH - 664), "dim"))
        y += ROW
    return _svg(max(height, TOP + 100), parts + boxes, f"Service {found['name']}: {summary(found)}")


def text(found: Story) -> str:
    """The same as text."""
    if found["service"] is None:
        return f"There is no Service {found['name']}."
    service = found["service"]
    where = f"{service['type']} {service['address']} port {service['ports']}; {service['selector']}"
    lines = [f"Service {found['name']} ({where})"]
    for piece in found["slices"]:
        lines.append(f"  slice {piece['name']}, port {piece['ports'] or 'none'}")
        lines += [
            f"    {e['address']} {e['state']}: {e['pod'] or 'no Pod'} {e['node']}".rstrip() for e in piece["endpoints"]
        ]
    lines += [f"  {o['pod']} ({o['status']}): not in a slice" for o in found["others"]]
    return "\n".join(lines if found["slices"] else [*lines, "  no slices"])


def line(x1: float, y1: float, x2: float, y2: float, *, solid: bool = True) -> str:
    """A wire between two boxes."""
    dashes = "" if solid else ' stroke-dasharray="4 3"'
    return f'<path class="wire" stroke="#b0b4b9" fill="none"{dashes} d="M{x1:.0f},{y1:.0f} L{x2:.0f},{y2:.0f}"/>'


class ServiceView(ClusterView):
    """A Service live, and back through its history; `story` gives it at a revision."""

    def __init__(
        self,
        name: str,
        revisions: Callable[[], list[int]],
        story: Callable[[int], Story],
        advance: Callable[[float], None],
    ):
        self._told: dict[int, Story] = {}
        self._story, self._every = story, revisions
        super().__init__(self.moments, self.told, advance)
        self.label = f"the Service {name} and its history"

    def told(self, revision: int) -> Story:
        if revision not in self._told:
            self._told[revision] = self._story(revision)
        return self._told[revision]

    def moments(self) -> list[int]:
        """The revisions at which its picture changed."""
        kept: list[int] = []
        before: Any = None
        for revision in self._every():
            now = {k: v for k, v in self.told(revision).items() if k not in ("time", "revision")}
            if now != before:
                kept.append(revision)
            before = now
        return kept

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        found = self.told(self._seen[self.position])
        self.live = self.position == self.last
        where = "now" if self.live else f"moment {self.position + 1} of {self.last + 1}"
        self.svg, self.text = picture(found), text(found)
        self.caption = f"{found['time']}, {where}: {summary(found)}"
