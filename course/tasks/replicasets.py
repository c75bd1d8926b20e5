"""Chapter 10: ReplicaSets. Adopt Pods, let one go, inherit from an old controller, and a manifest that is refused."""

import random
from typing import Any

import yaml

from course.checks import Look, Points, Rule, Seen, at_least, point, same_items
from course.tasks import Exercise, Values, objects

_OWNERS = "kubectl get pods -o custom-columns=POD:.metadata.name,OWNER:.metadata.ownerReferences[0].name"


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    role, wrong = draw.choice((("cache", "cash"), ("index", "indx"), ("queue", "qeue")))
    return Values(
        adopter=draw.choice(("keeper", "guard", "warden")),
        team=draw.choice(("red", "north", "delta")),
        one=draw.choice(("amy", "ida", "lea")),
        two=draw.choice(("ben", "max", "tom")),
        count=draw.randint(3, 5),
        shop=draw.choice(("shop", "store", "market")),
        old=draw.choice(("legacy", "ancient", "vintage")),
        heir=draw.choice(("modern", "fresh", "recent")),
        note=draw.choice(("handover", "todo", "memo")),
        late=draw.choice(("worker", "runner", "helper")),
        role=role,
        wrong=wrong,
    )


def _of(pods: list[Seen], name: str) -> list[Seen]:
    """The ready Pods that belong to the ReplicaSet."""
    return [pod for pod in pods if objects.owner(pod) == f"ReplicaSet {name}" and objects.ready(pod)]


def _made_by(pods: list[Seen], name: str) -> list[Seen]:
    """Those that a controller of this name made, whoever owns them now."""
    return [pod for pod in pods if pod["metadata.generateName"] == f"{name}-"]


def six(see: Look, v: Values) -> Points:
    rs = see.get("replicasets.apps", "frontend")
    get = "kubectl get rs frontend"
    yield point("the ReplicaSet frontend wants 6 Pods", rs["spec.replicas"], 6, get, why="kubectl scale changes it.")
    yield point("six of its Pods are ready", rs["status.readyReplicas"], 6, get)


def adopt(see: Look, v: Values) -> Points:
    rs = see.get("replicasets.apps", v.adopter)
    pods = see.list("pods", f"team={v.team}")
    yield point(
        f"the ReplicaSet {v.adopter} wants {v.count} Pods",
        rs["spec.replicas"],
        v.count,
        f"kubectl get rs {v.adopter}",
        why="Its name stands in metadata.name, the number in spec.replicas.",
    )
    adopted = [pod["metadata.name"] for pod in _of(pods, v.adopter) if pod["metadata.name"] in (v.one, v.two)]
    yield point(
        f"it has adopted {v.one} and {v.two}",
        adopted or "neither",
        same_items([v.one, v.two]),
        _OWNERS,
        worth=2,
        why="A ReplicaSet adopts Pods that its selector finds and that belong to nobody. Deleted ones it cannot adopt.",
    )
    count = f"{len(_of(pods, v.adopter))} Pods"
    yield point(
        f"{v.count} Pods run for it, those two among them",
        count if len(adopted) == 2 else f"{count}, and not both are among them",
        f"{v.count} Pods",
        f"kubectl get pods -l team={v.team}",
        why="It counts those that it adopted, and makes the rest.",
    )


def quarantine(see: Look, v: Values) -> Points:
    sick = _made_by(see.list("pods", "quarantine=true"), v.shop)
    show = "kubectl get pods --show-labels"
    yield point(
        f"one Pod of {v.shop} has the label quarantine=true",
        len(sick),
        1,
        show,
        why="One Pod is enough, and it must be one that the ReplicaSet made.",
    )
    free = [pod for pod in sick if objects.owner(pod) == "nobody"]
    yield point(
        "it belongs to nobody",
        [objects.owner(pod) for pod in sick] or "no Pod has the label yet",
        Rule("nobody", lambda value: value == ["nobody"]),
        _OWNERS,
        worth=2,
        why="As long as it has the labels that the selector asks for, it is counted. Take that label away.",
    )
    yield point(
        "it still runs",
        any(objects.ready(pod) for pod in free) if free else "no Pod is apart yet",
        True,
        show,
        why="It was not to be deleted: somebody wants to look at it.",
    )
    serving = _of(see.list("pods", f"app={v.shop}"), v.shop)
    yield point(
        f"{v.shop} has three Pods without it",
        f"{len(serving)} Pods" + ("" if free else ", none apart yet"),
        "3 Pods",
        f"kubectl get rs {v.shop}",
        why="The ReplicaSet makes another as soon as it counts one too few.",
    )


def heir(see: Look, v: Values) -> Points:
    rs = see.get("replicasets.apps", v.heir)
    inherited = _of(_made_by(see.list("pods", f"app={v.old}"), v.old), v.heir)
    yield point(
        f"the ReplicaSet {v.heir} wants 2 Pods",
        rs["spec.replicas"],
        2,
        f"kubectl get rs {v.heir}",
        why="Its selector must find the Pods that are there.",
    )
    yield point(
        f"both Pods that {v.old} made belong to it",
        len(inherited),
        2,
        _OWNERS,
        worth=2,
        why="Who deletes a controller deletes its Pods, unless with --cascade=orphan. Orphans are adopted.",
    )
    there = see.get("replicationcontrollers", v.old)
    yield point(
        f"the ReplicationController {v.old} is gone, and {v.heir} there",
        f"{v.old} is there" if there else f"{v.old} is gone" if rs else "neither is there",
        f"{v.old} is gone",
        "kubectl get rc",
        why="A Pod has one controller. As long as the old one is there, it keeps its Pods.",
    )


def refused(see: Look, v: Values) -> Points:
    rs = see.get("replicasets.apps", v.late)
    get = f"kubectl get rs {v.late}"
    yield point(
        f"there is a ReplicaSet {v.late}",
        rs["metadata.name"],
        v.late,
        get,
        why="Apply the manifest and read what the apiserver says: it names the field.",
    )
    yield point(
        f"it looks for role={v.role}",
        rs["spec.selector.matchLabels"],
        {"role": v.role},
        f"{get} -o jsonpath='{{.spec.selector}}'",
        why="Selector and template must say the same, and the note tells which of the two words is right.",
    )
    yield point(
        "at least three of its Pods are ready",
        rs["status.readyReplicas"],
        at_least(3),
        get,
        worth=2,
        why="The note asks for three.",
    )


def _controller(kind: str, name: str, replicas: int, image: str) -> dict[str, Any]:
    modern, labels = kind == "ReplicaSet", {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    selector = {"matchLabels": labels} if modern else labels
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return objects.of("apps/v1" if modern else "v1", kind, name, spec=spec)


def _note(v: Values) -> dict[str, Any]:
    manifest = _controller("ReplicaSet", v.late, 3, "nginx")
    manifest["spec"]["selector"] = {"matchLabels": {"role": v.role}}
    manifest["spec"]["template"]["metadata"]["labels"] = {"role": v.wrong}
    text = f"Three Pods please, with the label role={v.role}. The cluster does not take it, and I do not know why."
    data = {"note": text, "manifest": yaml.safe_dump(manifest, sort_keys=False)}
    return objects.config(v.note, data)


def _pods(v: Values) -> str:
    pods = [objects.pod(name) for name in (v.one, v.two)]
    for pod in pods:
        pod["metadata"]["labels"] = {"team": v.team}
    return objects.many(*pods)


TASKS = {
    "six": Exercise(six),
    "adopt": Exercise(adopt, owns=("rs/{adopter}", "pods/{one}", "pods/{two}"), begin=_pods),
    "quarantine": Exercise(
        quarantine,
        owns=("rs/{shop}", "pods/quarantine=true"),
        begin=lambda v: objects.many(_controller("ReplicaSet", v.shop, 3, "nginx")),
    ),
    "heir": Exercise(
        heir,
        owns=("rs/{heir}", "rc/{old}", "pods/app={old}"),
        begin=lambda v: objects.many(_controller("ReplicationController", v.old, 2, "httpd:2.4")),
    ),
    "refused": Exercise(refused, owns=("rs/{late}", "configmap/{note}"), begin=lambda v: objects.many(_note(v))),
}
