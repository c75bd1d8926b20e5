"""Chapter 05: kube-controller-manager. Whose work is it, a loop of one's own, orphans, and a loop that is off."""

import json
import random
from typing import Any

from course.checks import Look, Points, Rule, point
from course.tasks import Exercise, Values, objects

LOOPS = {
    "a Deployment `web` exists, but no ReplicaSet for it": "deployment-controller",
    "a ReplicaSet wants three Pods, and has none": "replicaset-controller",
    "a new namespace has no ServiceAccount `default`": "serviceaccount-controller",
    "a node has been silent for minutes, and is still Ready": "node-lifecycle-controller",
    "a Service has ready Pods, but its EndpointSlice lists none of them": "endpointslice-controller",
    "a CronJob's hour has come, but there is no Job": "cronjob-controller",
    "a Deployment was deleted, and its ReplicaSet stays": "garbage-collector-controller",
    "a new namespace has no ConfigMap `kube-root-ca.crt`": "root-ca-certificate-publisher-controller",
}
"""Whose work is missing, by what one sees."""
_SILENT = {
    "Job": ("batch/v1", "jobs.batch", "job-controller"),
    "StatefulSet": ("apps/v1", "statefulsets.apps", "statefulset-controller"),
    "DaemonSet": ("apps/v1", "daemonsets.apps", "daemonset-controller"),
}
_MANIFEST = "$NODES/cp/etc/kubernetes/manifests/kube-controller-manager.yaml"
_SHOW = "print(reconcile({}, {}))"


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    kind = draw.choice(sorted(_SILENT))
    return Values(
        **{f"symptom{number}": text for number, text in enumerate(draw.sample(sorted(LOOPS), 3), 1)},
        prefix=draw.choice(("web", "shop", "mail")),
        keep=draw.choice(("gateway", "portal", "lobby")),
        drop=draw.choice(("trial", "sketch", "draft")),
        count=draw.randint(2, 4),
        kind=kind,
        loop=_SILENT[kind][2],
        silent=draw.choice(("report", "backup", "survey")),
    )


def tidy(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", "app=hello") if objects.ready(pod)]
    get = "kubectl get pods -l app=hello"
    yield point("four Pods of hello are ready", len(pods), 4, get, why="Change the wish, not the Pods.")


def whose(see: Look, v: Values) -> Points:
    yield from objects.choices(
        see.get("configmaps", "whose"),
        {"first": v.symptom1, "second": v.symptom2, "third": v.symptom3},
        LOOPS,
        "kubectl get configmap whose -o yaml",
        why="Each loop is named for what it looks after. Who makes or removes what is missing? Use its full name.",
        untold="another loop",
    )


def _pods(text: str) -> list[dict[str, Any]]:
    """Pods from a short text: a letter names one, `!` is not ready, `~` is being deleted."""
    return [{"name": each[0], "ready": "!" not in each, "leaving": "~" in each} for each in text.split()]


def _answer(see: Look, wanted: int, text: str) -> Any:
    """How many it makes and the names that it deletes, in words; or what was answered instead."""
    pods = _pods(text)
    asked = see.other_names(pods)
    found = see.call(wanted, asked)
    if isinstance(found, dict) and set(found) == {"make", "delete"} and isinstance(found["delete"], list):
        known = {other["name"]: pod["name"] for other, pod in zip(asked, pods, strict=True)}
        names = sorted(known.get(str(name), f"{name} (which is not there)") for name in found["delete"])
        return _act(found["make"], names)
    return found


def _act(make: Any, delete: list[str]) -> str:
    return f"make {make!r}, delete {', '.join(delete) or 'none'}"


def _churn(see: Look, wanted: int) -> Any:
    """Let the loop run while Pods come and go, twice after each change: the second time there is nothing to do."""
    draw, pods, made = see.draw or random.Random(wanted), list[dict[str, Any]](), 0
    for turn in range(20):
        for quiet in (False, True):
            answer = see.call(wanted, pods)
            if not (isinstance(answer, dict) and isinstance(answer.get("make"), int)):
                return answer
            make, delete = answer["make"], answer.get("delete")
            if quiet and (make or delete):
                return f"turn {turn}: it acts again, though nothing has happened"
            pods = [pod for pod in pods if pod["name"] not in (delete or ()) and not pod["leaving"]]
            made += make
            pods += [{"name": f"p{made}-{number}", "ready": True, "leaving": False} for number in range(min(make, 50))]
        if len(pods) != wanted:
            return f"turn {turn}: {len(pods)} Pods"
        pods = draw.sample(pods, len(pods) - draw.randint(0, 1))
        for pod in draw.sample(pods, min(len(pods), 2)):
            pod[draw.choice(("leaving", "ready"))] ^= True
        pods += [{"name": f"x{turn}", "ready": True, "leaving": False}] * draw.randint(0, 1)
    return _steady(wanted)


def _steady(wanted: int) -> str:
    return f"{wanted} Pods after each turn"


def loop(see: Look, v: Values) -> Points:
    yield point(
        "with too few it makes the difference",
        _answer(see, 3, "a"),
        _act(2, []),
        _SHOW.format(3, _pods("a")),
        why="Compare what is there with what is wanted, and act on the difference.",
    )
    yield point(
        "with too many it deletes the surplus, those first that are not ready",
        _answer(see, 2, "a b! c d!"),
        _act(0, ["b", "d"]),
        _SHOW.format(2, _pods("a b! c d!")),
        why="Users notice a ready Pod that goes. One that is not ready serves nobody.",
    )
    answers = [_answer(see, 2, "a b"), _answer(see, 0, ""), _answer(see, 1, "a!")]
    yield point(
        "with the right number it does nothing",
        next((each for each in answers if each != _act(0, [])), _act(0, [])) if see.handed else None,
        _act(0, []),
        _SHOW.format(2, _pods("a b")),
        why="A loop runs again and again. If all is well it must leave all as it is.",
    )
    yield point(
        "a Pod that is leaving does not count, and is not deleted again",
        _answer(see, 2, "a b~ c~"),
        _act(1, []),
        _SHOW.format(2, _pods("a b~ c~")),
        why="It is as good as gone. Leave such Pods out before you count.",
    )
    yield point(
        "it stays right while Pods come and go",
        _churn(see, v.count),
        _steady(v.count),
        _SHOW.format(v.count, "[]"),
        why="Look at what is there each time. Do not remember what you did the last time.",
    )


def orphans(see: Look, v: Values) -> Points:
    gone = not see.get("deployments.apps", v.keep)
    sets = see.list("replicasets.apps", f"app={v.keep}")
    running = sum(objects.ready(pod) for pod in see.list("pods", f"app={v.keep}"))
    yield point(
        f"the Deployment {v.keep} is gone, and its ReplicaSet is there and belongs to nobody",
        [objects.owner(one) for one in sets] if gone else "the Deployment is there",
        Rule("one ReplicaSet of nobody", lambda value: value == ["nobody"]),
        "kubectl get replicasets -o custom-columns=NAME:.metadata.name,OWNER:.metadata.ownerReferences[0].name",
        worth=2,
        why="Who deletes an owner deletes what it owns, unless with --cascade=orphan.",
    )
    yield point(
        f"the Pods of {v.keep} still run without it",
        f"{running}" if gone else f"{running}, but the Deployment is there",
        str(v.count),
        f"kubectl get pods -l app={v.keep}",
        why="The ReplicaSet looks after them. As long as it is there, they are.",
    )
    left = [*see.list("replicasets.apps", f"app={v.drop}"), *see.list("pods", f"app={v.drop}")]
    yield point(
        f"nothing is left of {v.drop}",
        len(left) + bool(see.get("deployments.apps", v.drop)),
        0,
        f"kubectl get deployments,replicasets,pods -l app={v.drop}",
        why="Here the garbage collector shall work: delete the Deployment, and its ReplicaSet and Pods follow.",
    )


def silent(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", f"app={v.silent}") if objects.ready(pod)]
    kinds = sorted({objects.owner(pod).split()[0] for pod in pods})
    get = f"kubectl get pods -l app={v.silent}"
    yield point(
        f"a Pod of the {v.kind} {v.silent} is ready",
        [f"a Pod of {kind}" for kind in kinds] or "none is ready",
        [f"a Pod of {v.kind}"],
        f"{get} -o custom-columns=POD:.metadata.name,OWNER:.metadata.ownerReferences[0].kind",
        worth=3,
        why=f"No Pod and no event means that nobody looks at it. Which loop looks after a {v.kind}, and does it run?",
    )
    manager = Look(see.source, "kube-system").get("pods", "kube-controller-manager-cp")
    flags = [each for each in manager["spec.containers[0].command"] or [] if each.startswith("--controllers=")]
    said = flags[0].removeprefix("--controllers=").split(",") if flags else ["*"]
    yield point(
        "every loop that is on by default runs",
        said if pods else "no Pod is ready yet",
        Rule(
            "*, and none with a minus", lambda value: "*" in value and not any(each.startswith("-") for each in value)
        ),
        "kubectl get pod kube-controller-manager-cp -n kube-system -o yaml",
        why="Without the * only those run that are named. Mend what was wrong, and leave the rest as it was.",
    )


def _whole(kind: str, version: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    metadata = {"name": name, "labels": labels}
    pod = {"containers": [{"name": "main", "image": "nginx"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    if kind == "Job":
        pod["restartPolicy"] = "Never"  # type: ignore[assignment]  # a Pod's fields differ in kind
    else:
        spec = {"selector": {"matchLabels": labels}, **spec}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {**spec, "template": template}}


def _two(v: Values) -> str:
    return objects.many(*(objects.deployment(name, v.count) for name in (v.keep, v.drop)))


TASKS = {
    "tidy": Exercise(tidy, owns=("deployment/hello",)),
    "whose": Exercise(whose, owns=("configmap/whose",)),
    "loop": Exercise(loop),
    "orphans": Exercise(
        orphans,
        owns=(
            "deployment/{keep}",
            "deployment/{drop}",
            "rs/app={keep}",
            "rs/app={drop}",
            "pods/app={keep}",
        ),
        begin=_two,
    ),
    "silent": Exercise(
        silent,
        owns=("{kind}/{silent}", "pods/app={silent}"),
        files=f'new=$(sed "s/--controllers=.*/--controllers=*,-{{loop}},bootstrapsigner,tokencleaner/" {_MANIFEST}); '
        f'echo "$new" > {_MANIFEST}',
        begin=lambda v: json.dumps(_whole(v.kind, _SILENT[v.kind][0], v.silent, {})),
    ),
}
