"""Chapter NN: topic. What its tasks begin with, and what its checks look at."""

import json
import random
from typing import Any

from course.checks import Look, Points, at_least, point
from course.tasks import Exercise, Values


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    return Values(app=draw.choice(("shop", "blog", "forum")), count=draw.randint(3, 6))


def own(see: Look, v: Values) -> Points:
    """Practice in the lesson: no points, and no values of one's own."""
    yield point("there is a Pod mine", bool(see.get("pods", "mine")), True, "kubectl get pod mine")


def grow(see: Look, v: Values) -> Points:
    """A point is what was observed, what was expected, and the command that shows it; `why` is said if it fails."""
    deployment = see.get("deployments.apps", v.app)
    get = f"kubectl get deployment {v.app}"
    grown = deployment["spec.replicas"] == v.count
    yield point(
        f"{v.app} wants {v.count} Pods",
        deployment["spec.replicas"],
        v.count,
        get,
        why="The number of Pods is the Deployment's. Pods that you make yourself are not its own.",
    )
    yield point(
        "they are ready",
        deployment["status.readyReplicas"] if grown else None,
        v.count,
        get,
        why="Wishing is not having. What do the Pods say?",
    )
    # What the cluster's history shows. Nothing may pass before the learner has done anything, hence `grown`.
    versions, _ = see.versions("deployments.apps", v.app)
    fewest = min((int(each["status.availableReplicas"] or 0) for each in versions), default=0)
    yield point(
        "it worked all the time",
        fewest if grown else None,
        at_least(1),
        f"kubectl get events --field-selector involvedObject.name={v.app}",
        why="Do not delete it and make it again: then for a while nobody answers.",
    )


def _deployment(v: Values) -> str:
    labels = {"app": v.app}
    template: dict[str, Any] = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": v.app}, "spec": spec})


TASKS = {
    "own": Exercise(own, owns=("pods/mine",)),
    "grow": Exercise(grow, owns=("deployments/{app}",), begin=_deployment),
}
