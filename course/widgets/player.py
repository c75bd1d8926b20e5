"""The widgets: a picture that can be moved through its history. `ClusterView` follows a lab, `SequenceView` a
request.

Each knows its picture at every position; the front end (player.js) only shows it. In outputs that are kept (the web,
print) a widget leaves its picture as SVG and its text instead of itself.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from course.widgets import pictures
from course.widgets.state import State

_HERE = Path(__file__).parent


def static() -> bool:
    """Whether outputs are made to be kept: COURSE_STATIC is set while lessons are built and compared."""
    return bool(os.environ.get("COURSE_STATIC"))


class Player(anywidget.AnyWidget):
    """A picture with play, step, speed and a slider. Subclasses say how many positions there are and draw one."""

    _esm = _HERE / "player.js"
    _css = _HERE / "player.css"
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    last = traitlets.Int(0).tag(sync=True)
    speed = traitlets.Float(1.0).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)
    """At the newest moment of something that still goes on."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.observe(lambda change: self.draw(), "position")
        self.on_msg(lambda widget, content, buffers: self.receive(content))

    def draw(self) -> None:
        """Draw the picture of `position`."""
        raise NotImplementedError

    def forward(self, playing: bool) -> None:
        """One step on; `playing` says that the step came from play, not from a key."""
        if self.position < self.last:
            self.position += 1
        elif playing:
            self.playing = False

    def receive(self, content: dict[str, Any]) -> None:
        """What the front end sends: {"type": "tick" | "forward"}, or "act" with what a pressed part asks for."""
        if content.get("type") in ("tick", "forward"):
            self.forward(playing=content["type"] == "tick")
        elif content.get("type") == "act":
            self.act(str(content.get("act")))

    def act(self, what: str) -> None:
        """Do what a part of the picture asks for that was pressed (its data-act)."""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        kept = {"image/svg+xml": self.svg, "text/plain": self.text}
        if static():
            return kept
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, **kept}, metadata


class Pages(Player):
    """What was told once, page by page from the last one on. Subclasses keep it before they call this, and say how
    many pages it has; `page` gives one's picture, text and caption."""

    def __init__(self, label: str, pages: int):
        super().__init__(label=label)
        self.last = self.position = max(pages - 1, 0)
        self.draw()

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        self.svg, self.text, self.caption = self.page(self.position)

    def page(self, position: int) -> tuple[str, str, str]:
        raise NotImplementedError


class ClusterView(Player):
    """The cluster live: nodes, Pods by phase, Services; back through history by revision.

    At the newest moment play lets time go by, `speed` seconds a second, and step lets one second go by; before it
    they walk through what happened. `revisions`, `state` and `advance` are a lab's.
    """

    def __init__(
        self,
        revisions: Callable[[], list[int]],
        state: Callable[[int], State],
        advance: Callable[[float], None],
        **kwargs: Any,
    ):
        super().__init__(label="the cluster and its history", **kwargs)
        self._revisions, self._state, self._advance = revisions, state, advance
        self._seen: list[int] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in what happened since; stay at the newest moment if we were there."""
        newest = self.position >= self.last
        self._seen = list(self._revisions())
        with self.hold_sync():
            self.last = len(self._seen) - 1
            if newest:
                self.position = self.last
            self.draw()

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        found = self._state(self._seen[self.position])
        self.live = self.position == self.last
        where = "now" if self.live else f"moment {self.position + 1} of {self.last + 1}"
        self.svg, self.text = pictures.cluster(found), pictures.cluster_text(found)
        self.caption = f"{found['time']}, revision {found['revision']}, {where}: {pictures.summary(found)}"

    def forward(self, playing: bool) -> None:
        if self.position < self.last:
            self.position += 1
            return
        self._advance(self.speed if playing else 1.0)
        before = self.last
        self.refresh()
        if self.last > before + 1 and not playing:
            self.position = before + 1


class SequenceView(Pages):
    """One request's way through the components, a step a page."""

    def __init__(self, title: str, actors: list[str], steps: list[dict[str, Any]]):
        self.title, self.actors, self.steps = title, actors, steps
        super().__init__(f"the way of: {title}", len(steps))

    def page(self, position: int) -> tuple[str, str, str]:
        everything = position == self.last and not self.playing
        step = self.steps[position] if self.steps else {"from": "", "to": "", "text": "nothing", "time": ""}
        where = f"{step['time']}, step {position + 1} of {self.last + 1}"
        return (
            pictures.sequence(self.actors, self.steps, None if everything else position),
            f"{self.title}\n{pictures.sequence_text(self.steps[: position + 1])}",
            f"{where}: {step['from']} to {step['to']}, {step['text']}",
        )
