"""Chapter 01: practice with a Deployment, the command that sets every component to work."""

import random

from course.checks import Look, Points, point
from course.tasks import Exercise, Values


def values(draw: random.Random) -> Values:
    """Practice in the lesson is the same for everybody."""
    return Values(name="shop")


def two_replicas(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.name)
    get = f"kubectl get deployment {v.name}"
    yield point(
        "a Deployment asks for two Pods",
        deployment["spec.replicas"],
        2,
        get,
        why="The Deployment is the wish. Nothing else happens until it is written down.",
    )
    yield point(
        "two Pods are ready",
        deployment["status.readyReplicas"],
        2,
        f"kubectl get pods -l app={v.name}",
        why="A Pod is ready when its containers have started and answer.",
    )


TASKS = {"two-replicas": Exercise(two_replicas, owns=("deployments.apps/{name}",))}
