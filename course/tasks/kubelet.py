"""Chapter 07: the kubelet."""

import random

from course.checks import Look, Points, Seen, point
from course.tasks import Exercise, Values


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    return Values()


def _ready(pod: Seen) -> bool:
    return pod["status.conditions[type=Ready].status"] == "True" and not pod["metadata.deletionTimestamp"]


def asked(see: Look, v: Values) -> Points:
    pod = see.get("pods", "asked")
    probe = "spec.containers[0].readinessProbe"
    get = "kubectl get pod asked -o yaml"
    yield point("it is asked by HTTP, on port 80", pod[f"{probe}.httpGet.port"], 80, get)
    yield point("every 5 seconds", pod[f"{probe}.periodSeconds"] if pod[probe] else None, 5, get)
    yield point(
        "it is ready",
        _ready(pod) if pod[probe] else None,
        True,
        "kubectl describe pod asked",
        why="A Pod is ready when the probe gets a yes: a code from 200 to 399.",
    )


TASKS = {"asked": Exercise(asked, owns=("pods/asked",))}
