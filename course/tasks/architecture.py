"""Chapter 01: the components. Practice with a Deployment, the order of things, dead components by their symptoms."""

import random
from itertools import pairwise

from course.checks import Look, Points, Rule, Seen, point
from course.tasks import Exercise, Values, objects

STEPS = (
    "the apiserver writes the Deployment into etcd",
    "the deployment controller makes a ReplicaSet",
    "the replicaset controller makes a Pod",
    "the scheduler gives the Pod a node",
    "a kubelet starts the Pod's container",
    "a kubelet reports that the Pod is ready",
    "the deployment controller writes that a Pod is available",
)
"""What becomes of a Deployment, in order."""
SYMPTOMS = {
    "a new Pod stays Pending, has no node, and there is no event about it": "kube-scheduler",
    "`kubectl scale` says that it was done, but the number of Pods stays the same for ever": "kube-controller-manager",
    "every `kubectl` command ends in *connection refused*, and what ran goes on running": "kube-apiserver",
    "the apiserver answers, but whoever reads or writes an object gets *etcdserver: request timed out*": "etcd",
    "one node is NotReady, and the containers on it still answer": "kubelet",
    "on one node the addresses of new Services do not answer, those of Pods do": "kube-proxy",
    "in all Pods `wget web` says *bad address*, and `wget 10.96.0.12` works": "coredns",
}
"""The dead component, by what one sees."""
_LETTERS = "ABCDEFG"
_ORDER = "kubectl get configmap order -o yaml"


def values(draw: random.Random) -> Values:
    """Names, an order of the steps and a dead component of the learner's own; practice is the same for everybody."""
    mixed = draw.sample(STEPS, len(STEPS))
    return Values(
        name="shop",
        shown=draw.choice(("gallery", "archive", "reader")),
        **{f"step{letter}": step for letter, step in zip(_LETTERS, mixed, strict=True)},
        **{f"symptom{number}": text for number, text in enumerate(draw.sample(sorted(SYMPTOMS), 3), 1)},
        wish=draw.choice(("harbour", "bakery", "garage")),
        count=draw.randint(2, 4),
        gone=draw.choice(("kube-scheduler", "kube-controller-manager")),
    )


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


def order(see: Look, v: Values) -> Points:
    said = str(see.get("configmaps", "order")["data.steps"] or "")
    letters = {getattr(v, f"step{letter}"): letter for letter in _LETTERS}
    whole = sorted(said) == list(_LETTERS)
    for before, after in pairwise(STEPS):
        pair = sorted((letters[before], letters[after]))
        yield objects.answer(
            f"{pair[0]} and {pair[1]} stand in the right order",
            "".join(letter for letter in said if letter in pair) if whole else said,
            letters[before] + letters[after],
            _ORDER,
            why="Who acts has learned of something that was written before. What must be there for each of the two?",
            untold="the other order" if whole else "each of the seven letters once",
        )


def dead(see: Look, v: Values) -> Points:
    yield from objects.choices(
        see.get("configmaps", "dead"),
        {"first": v.symptom1, "second": v.symptom2, "third": v.symptom3},
        SYMPTOMS,
        "kubectl get configmap dead -o yaml",
        why="Whose work is missing? What still works was done by somebody who is alive.",
        untold="another component (stop one, and look)",
    )


def broken(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", f"app={v.wish}") if objects.ready(pod)]
    get = f"kubectl get deployments,replicasets,pods -l app={v.wish} -o wide"
    owners = [pod["metadata.ownerReferences[0].kind"] for pod in pods]
    yield point(
        f"{v.count} Pods of {v.wish} are ready",
        len([owner for owner in owners if owner == "ReplicaSet"]),
        v.count,
        get,
        worth=3,
        why="Follow the way from the Deployment on. Behind the last thing that is there, somebody is missing.",
    )
    told = {(event["reason"], word) for event in see.list("events") for word in _about(event)}
    names = [pod["metadata.name"] for pod in pods]
    yield point(
        "the replicaset controller made them, and the scheduler placed them",
        [f"{reason}: {sum((reason, name) in told for name in names)}" for reason in _DONE] if names else None,
        Rule(
            f"both for all {v.count}",
            lambda value: bool(value) and value == [f"{reason}: {v.count}" for reason in _DONE],
        ),
        f"kubectl get events | grep {v.wish}",
        why="What you make or bind by hand runs, but the next Deployment will wait again. Start who is missing.",
    )


_DONE = ("SuccessfulCreate", "Scheduled")


def _about(event: Seen) -> tuple[str, str]:
    """The names that an event may speak of: its object, and the last word of its message."""
    return str(event["involvedObject.name"]), str(event["message"] or " ").split(" ")[-1]


TASKS = {
    "two-replicas": Exercise(two_replicas, owns=("deployments.apps/{name}",)),
    "order": Exercise(
        order,
        owns=("configmap/order", "deployment/{shown}"),
        begin=lambda v: objects.many(objects.deployment(v.shown, 1)),
    ),
    "dead": Exercise(dead, owns=("configmap/dead",)),
    "broken": Exercise(
        broken,
        owns=("deployment/{wish}", "pods/app={wish}"),
        begin=lambda v: objects.many(objects.deployment(v.wish, v.count)),
        stops=("{gone}",),
    ),
}
