"""The scheduler's matrix for a Pod that is not there: sliders set what it requests and how much each score counts.

The cluster's own nodes and Pods are asked, by the scheduler's own plugins, each time a slider moves; nothing in the
cluster changes. Ties go to the first node here, where the real decision would leave them to chance.
"""

from typing import Any

import traitlets

from course.widgets import matrix
from course.widgets.player import Player
from k8s_core.scheduler import Scheduler, plugins
from k8s_core.scheduler.cache import PodInfo
from k8s_core.scheduler.decisions import Decision
from k8s_core.scheduler.framework import FitError, NoNodesError
from k8s_core.scheduler.plugin import Handle

CPU, MEMORY, HIGHEST_WEIGHT = 2000, 4096, 10
"""Where the sliders end: millicores, mebibytes, and times that a score counts."""
_NAME = "what-if"


def weights() -> dict[str, int]:
    """The plugins that give scores, with the weights that they have by default."""
    return {plugin.name: weight for plugin, weight in plugins.DEFAULT_PLUGINS if weight}


def decide(scheduler: Scheduler, spec: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    """What the scheduler would decide about a Pod with this spec if scores counted so, as its decisions are kept."""
    scores = {"enabled": [{"name": name, "weight": count} for name, count in counts.items() if count]}
    profile = {"plugins": {"score": {"disabled": [{"name": "*"}], **scores}}}
    metadata = {"name": _NAME, "namespace": "default", "uid": _NAME, "labels": {}}
    pod = PodInfo({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}})
    framework = plugins.build(Handle(scheduler.cache, scheduler.client), profile, version=scheduler.version)
    try:
        found = framework.schedule(pod)
    except FitError as error:
        return Decision(pod, "", filtered=error.diagnosis.nodes, message=str(error)).as_dict()
    except NoNodesError as error:
        return Decision(pod, "", message=str(error)).as_dict()
    return Decision(
        pod, "", chosen=found.node, feasible=found.feasible, filtered=found.filtered, table=found.table, ties=found.ties
    ).as_dict()


class WhatIfView(Player):
    """The matrix with sliders: `knobs` are {name: {value, min, max, step, unit}}; the front end sends what it turns."""

    knobs = traitlets.Dict().tag(sync=True)

    def __init__(self, scheduler: Scheduler, lock: Any, nodes: list[str], spec: dict[str, Any], **kwargs: Any):
        super().__init__(label="what the scheduler would do with another Pod", **kwargs)
        self._scheduler, self._lock, self._nodes, self._spec = scheduler, lock, nodes, spec
        self.knobs = {
            "cpu": {"value": 100, "min": 0, "max": CPU, "step": 50, "unit": "m"},
            "memory": {"value": 128, "min": 0, "max": MEMORY, "step": 64, "unit": "Mi"},
            **{
                name: {"value": weight, "min": 0, "max": HIGHEST_WEIGHT, "step": 1, "unit": " ×"}
                for name, weight in weights().items()
            },
        }
        self.draw()

    def turn(self, name: str, value: int) -> None:
        """Set a slider. KeyError if there is none of that name; what lies beyond its ends is its end."""
        knob = self.knobs[name]
        self.knobs = {**self.knobs, name: {**knob, "value": max(knob["min"], min(int(value), knob["max"]))}}
        self.draw()

    def receive(self, content: dict[str, Any]) -> None:
        if content.get("type") == "knob" and content.get("name") in self.knobs:
            self.turn(content["name"], content["value"])
        else:
            super().receive(content)

    def draw(self) -> None:
        told = {name: knob["value"] for name, knob in self.knobs.items()}
        requests = {"cpu": f"{told.pop('cpu')}m", "memory": f"{told.pop('memory')}Mi"}
        main = {"name": "main", "image": "nginx", "resources": {"requests": requests}}
        with self._lock:
            decision = decide(self._scheduler, {"containers": [main], **self._spec}, told)
        story = {"pod": f"a Pod of {requests['cpu']} and {requests['memory']}", "attempts": [decision]}
        story["nodes"] = self._nodes
        self.svg, self.text = matrix.picture(story, 0), matrix.text(story, 0)
        self.caption = f"cpu {requests['cpu']}, memory {requests['memory']}: {matrix.summary(decision)}"
