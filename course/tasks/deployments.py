"""Chapter 11: Deployments. An update nobody notices, numbers foretold, a version brought back, a hanging release."""

import json
import math
import random

from course.checks import Look, Points, Seen, at_least, point
from course.tasks import Exercise, Values, objects

_CAUSES = ("first release", "faster search", "new colours", "less memory", "dark mode", "shorter log", "new prices")
_MODES = ("plain", "fast", "safe", "quiet", "verbose", "strict")
_IMAGES = ("redis:7.0", "redis:7.2", "redis:7.4", "redis:8.0", "redis:8.2")


def values(draw: random.Random) -> Values:
    """Names, images and sizes that differ from learner to learner."""
    causes, modes, images = draw.sample(_CAUSES, 4), draw.sample(_MODES, 4), draw.sample(_IMAGES, 4)
    best = draw.choice((1, 2))
    old, new = draw.sample(("nginx:1.26", "nginx:1.27", "nginx:1.28", "nginx:1.29"), 2)
    return Values(
        shop=draw.choice(("shop", "front", "till", "basket")),
        old=old,
        new=new,
        count=draw.randint(4, 6),
        replicas=draw.choice((7, 9, 11, 13, 14)),
        surge=draw.choice((25, 30, 35)),
        missing=draw.choice((26, 32, 38)),
        ledger=draw.choice(("ledger", "cache", "index")),
        best=best,
        cause=causes[best - 1],
        **{f"cause{n}": cause for n, cause in enumerate(causes, 1)},
        **{f"mode{n}": mode for n, mode in enumerate(modes, 1)},
        **{f"image{n}": image for n, image in enumerate(images, 1)},
        stuck=draw.choice(("tickets", "booking", "seats")),
        size=draw.choice((4, 5, 6)),
        good=draw.choice(("httpd:2.4.58", "httpd:2.4.59", "httpd:2.4.61")),
        typo=draw.choice(("httpd:2.4.62-typo", "httpd:2.4.63-missing", "httpd:2.4.62-broken")),
    )


def _images(see: Look, app: str) -> list[str]:
    """The images of the Pods that are not going."""
    pods = [pod for pod in see.list("pods", f"app={app}") if not pod["metadata.deletionTimestamp"]]
    return sorted({image for pod in pods for image in pod["spec.containers[*].image"]})


def _counts(deployment: Seen) -> str | None:
    """How far a rollout is, in words."""
    if not deployment:
        return None
    available, updated = (deployment[f"status.{key}Replicas"] or 0 for key in ("available", "updated"))
    return f"{deployment['spec.replicas']} wished, {updated} of the newest version, {available} available"


def _lowest(see: Look, name: str) -> int:
    """The fewest available Pods since the task began."""
    versions, _ = see.versions("deployments.apps", name)
    return min((int(each["status.availableReplicas"] or 0) for each in versions), default=0)


def zero(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.shop)
    get = f"kubectl get deployment {v.shop}"
    images = _images(see, v.shop)
    done = images == [v.new]
    lowest = _lowest(see, v.shop)
    yield point(
        "all its Pods run the new image",
        images,
        [v.new],
        f"kubectl get pods -l app={v.shop} -o custom-columns=IMAGE:.spec.containers[*].image",
        why="kubectl set image deployment NAME CONTAINER=IMAGE changes the template, and the Deployment does the rest.",
    )
    yield point(
        f"at no moment were fewer than {v.count} Pods available",
        lowest if done else "the update has not been done",
        at_least(v.count),
        f"{get} -o jsonpath='{{.spec.strategy}}'",
        worth=2,
        why="maxUnavailable says how many may be missing on the way. It must be 0 before the update begins, and then "
        'maxSurge must not be 0. What is past stays past: begin again with lab.reset("zero").',
    )
    yield point(
        "in the end all are there",
        _counts(deployment) if done else "the update has not been done",
        f"{v.count} wished, {v.count} of the newest version, {v.count} available",
        get,
        why=f"The Deployment had {v.count} replicas before, and shall have as many after.",
    )


def surge(see: Look, v: Values) -> Points:
    answer = see.get("configmaps", "forecast")
    up, down = math.ceil(v.replicas * v.surge / 100), math.floor(v.replicas * v.missing / 100)
    get = "kubectl get configmap forecast -o jsonpath='{.data}'"
    for key, what, number, why in (
        (
            "most",
            "the most Pods at a time",
            v.replicas + up,
            "maxSurge comes on top of replicas. A percentage of it is rounded up.",
        ),
        (
            "least",
            "the fewest available Pods",
            v.replicas - down,
            "maxUnavailable is taken from replicas. A percentage of it is rounded down.",
        ),
        (
            "first",
            "the new Pods before one of them is ready",
            up + down,
            "First maxSurge new Pods are made. Then maxUnavailable old ones may go at once, and as many new ones come.",
        ),
    ):
        told = answer[f"data.{key}"]
        yield objects.answer(what, told, number, get, why=why, untold="another number (find it by trying)")


def past(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.ledger)
    get = f"kubectl get deployment {v.ledger}"
    container = deployment["spec.template.spec.containers[0]"] or {}
    image, mode = getattr(v, f"image{v.best}"), getattr(v, f"mode{v.best}")
    sets = see.list("replicasets.apps", f"app={v.ledger}")
    number = deployment["metadata.annotations[deployment.kubernetes.io/revision]"]
    current = next(
        (s for s in sets if s["metadata.annotations[deployment.kubernetes.io/revision]"] == number), Seen(None)
    )
    yield objects.answer(
        "it has that version's image",
        container.get("image"),
        image,
        f"{get} -o jsonpath='{{.spec.template.spec.containers[0].image}}'",
        untold=f'what stood in the version "{v.cause}"',
        why="kubectl rollout history --revision=N shows what stood in each version.",
    )
    yield objects.answer(
        "it has that version's setting MODE",
        next((e.get("value") for e in container.get("env", []) if e["name"] == "MODE"), None),
        mode,
        f"{get} -o jsonpath='{{.spec.template.spec.containers[0].env}}'",
        untold=f'what stood in the version "{v.cause}"',
        why="A version is the whole Pod template, not only its image.",
    )
    earlier = str(current["metadata.annotations[deployment.kubernetes.io/revision-history]"] or "")
    yield point(
        "it is the old version brought back, not a new one",
        "that old version"
        if str(v.best) in earlier.split(",")
        else "another old version"
        if earlier
        else "a new version",
        "that old version",
        f"kubectl get replicasets -l app={v.ledger}",
        why="The old ReplicaSet is still there, with no Pods. Coming back to it gives it a new number. "
        "A Deployment made anew has forgotten its history.",
    )
    yield point(
        "all its Pods are available",
        _counts(deployment) if container.get("image") == image else "another version runs",
        "3 wished, 3 of the newest version, 3 available",
        get,
        why="A change is done when every Pod is of the newest version and available.",
    )


def stuck(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.stuck)
    get = f"kubectl get deployment {v.stuck}"
    whole = f"{v.size} wished, {v.size} of the newest version, {v.size} available"
    counts = _counts(deployment)
    up = counts == whole
    lowest = _lowest(see, v.stuck)
    fewest = v.size - v.size // 4
    yield point(
        "the release is done: all its Pods are available",
        counts,
        whole,
        f"kubectl rollout status deployment {v.stuck} --timeout=5s",
        worth=2,
        why="Look at the Pods that are not ready, and at what happened to them: kubectl describe pod.",
    )
    yield point(
        "they run the version that worked",
        _images(see, v.stuck) if up else "the release is not done",
        [v.good],
        f"kubectl rollout history deployment {v.stuck}",
        why="The version before is kept in the history. kubectl rollout undo goes back to it.",
    )
    yield point(
        f"at no moment were fewer than {fewest} Pods available",
        lowest if up else "the release is not done",
        at_least(fewest),
        get,
        why="A Deployment that is deleted and made again takes its Pods with it, and their users notice.",
    )


def own_deployment(see: Look, v: Values) -> Points:
    mine = see.get("deployments.apps", "mine")
    get = "kubectl get deployment mine"
    yield point("two Pods are available", mine["status.availableReplicas"], 2, get)
    yield point(
        "its image is nginx:1.28", mine["spec.template.spec.containers[*].image"], ["nginx:1.28"], f"{get} -o wide"
    )
    yield point(
        "it has had two revisions",
        mine["metadata.annotations[deployment.kubernetes.io/revision]"],
        "2",
        "kubectl rollout history deployment mine",
        why="A revision is made by each change of the template. Begin with another image.",
    )


def _template(number: int) -> str:
    container = {
        "name": "main",
        "image": f"{{image{number}}}",
        "env": [{"name": "MODE", "value": f"{{mode{number}}}"}],
    }
    return json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})


def _past_begin(v: Values) -> str:
    made = objects.deployment(v.ledger, 3, v.image1, env=[{"name": "MODE", "value": v.mode1}])
    made["metadata"]["annotations"] = {"kubernetes.io/change-cause": v.cause1}
    return objects.many(made)


def _zero_begin(v: Values) -> str:
    made = objects.deployment(v.shop, v.count, v.old)
    made["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}
    return objects.many(made)


def _past_then() -> tuple[str, ...]:
    return tuple(
        command
        for number in (2, 3, 4)
        for command in (
            f"patch deployment {{ledger}} -p '{_template(number)}'",
            f"annotate deployment {{ledger}} --overwrite kubernetes.io/change-cause='{{cause{number}}}'",
        )
    )


TASKS = {
    "own-deployment": Exercise(own_deployment),
    "zero": Exercise(zero, owns=("deployments/{shop}",), begin=_zero_begin),
    "surge": Exercise(surge, owns=("configmaps/forecast",)),
    "past": Exercise(past, owns=("deployments/{ledger}",), begin=_past_begin, then=_past_then()),
    "stuck": Exercise(
        stuck,
        owns=("deployments/{stuck}",),
        begin=lambda v: objects.many(objects.deployment(v.stuck, v.size, v.good)),
        then=("set image deployment/{stuck} main={typo}",),
    ),
}
