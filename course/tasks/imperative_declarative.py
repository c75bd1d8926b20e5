"""Chapter 16: three ways of managing objects, and what each forgets."""

import json
import random
from typing import Any

from course.checks import Look, Points, Rule, Seen, at_least, point
from course.tasks import Exercise, Values, objects
from course.widgets.merge import last_applied

_COMMANDS, _FILES, _DECLARATIVE = "commands", "files", "declarative"
_WAYS = {
    "scale": (_COMMANDS, "No file: what you want stands in the command, and nowhere else."),
    "edit": (_COMMANDS, "The editor shows the live object, and afterwards there is no file."),
    "create-f": (_FILES, "You say what to do (create), and a file says with what."),
    "replace-f": (_FILES, "You say what to do (replace), and a file says with what."),
    "apply-f": (_DECLARATIVE, "You only say how it shall be. kubectl finds out whether to create or to change."),
    "apply-folder": (_DECLARATIVE, "You only say how all of them shall be."),
}
_ANOTHER = "another of: commands, files, declarative"


def values(draw: random.Random) -> Values:
    """Names, images and sizes that differ from learner to learner."""
    old, new = draw.sample(("busybox:1.35", "busybox:1.36", "busybox:1.37"), 2)
    return Values(
        one=draw.choice(("alpha", "first", "left")),
        two=draw.choice(("beta", "second", "right")),
        image=draw.choice(("nginx:1.27", "nginx:1.28", "httpd:2.4")),
        size=draw.choice((2, 3)),
        team=draw.choice(("red", "blue", "green")),
        grown=draw.choice(("wiki", "forum", "blog")),
        runs=draw.choice(("nginx:1.26", "httpd:2.4.59", "redis:7.2")),
        many=draw.choice((3, 4)),
        app=draw.choice(("mailer", "billing", "search")),
        setting=draw.choice(("SMTP_HOST", "DB_HOST", "INDEX_HOST")),
        address=draw.choice(("north", "south", "east", "west")) + f"-{draw.randint(10, 99)}.internal",
        old=old,
        new=new,
        full=draw.choice((4, 5)),
    )


def twice(see: Look, v: Values) -> Points:
    for name, applied in ((v.one, False), (v.two, True)):
        found = see.get("deployments.apps", name)
        get = f"kubectl get deployment {name}"
        wish = f"image {v.image}, {v.size} replicas, team={v.team}"
        is_now = (
            f"image {found['spec.template.spec.containers[0].image']}, {found['spec.replicas']} replicas, "
            f"team={found['metadata.labels.team']}"
        )
        yield point(
            f"{name} is as it should be",
            is_now if found else None,
            wish,
            f"{get} --show-labels -o wide",
            why="The label team belongs to the Deployment itself: metadata.labels.",
        )
        remembers = "its file" if found and last_applied(found.object) else "nothing"
        yield point(
            f"{name} remembers {'its file' if applied else 'no file'}",
            remembers if found else "there is none",
            "its file" if applied else Rule("nothing", lambda value: value == "nothing"),
            f"kubectl apply view-last-applied deployment {name}",
            why="kubectl apply keeps the file in an annotation."
            if applied
            else "Commands leave no file behind. Make this one with kubectl create, scale, label.",
        )


def classify(see: Look, v: Values) -> Points:
    answer = see.get("configmaps", "ways")
    for key, (way, why) in _WAYS.items():
        get = f"kubectl get configmap ways -o jsonpath='{{.data.{key}}}'"
        yield objects.answer(key, answer[f"data.{key}"], way, get, why=why, untold=_ANOTHER)


def move(see: Look, v: Values) -> Points:
    versions, _ = see.versions("deployments.apps", v.grown)
    found = see.get("deployments.apps", v.grown)
    last = Seen(last_applied(found.object) if found else None)
    get = f"kubectl get deployment {v.grown}"
    view = f"kubectl apply view-last-applied deployment {v.grown}"
    yield point(
        "apply knows its image",
        last["spec.template.spec.containers[0].image"],
        v.runs,
        view,
        why="kubectl get -o yaml prints the live object as a file. Applied once, it is remembered.",
    )
    yield point(
        "apply knows its replicas",
        last["spec.replicas"],
        v.many,
        view,
        why="What the file does not say, apply does not mind. Here the number was set by hand.",
    )
    started = {each["metadata.uid"] for each in versions if each} | {found["metadata.uid"]}
    same = len(started) == 1 and all(versions) and found["spec.replicas"] == v.many
    told = (
        "untouched" if same and found["metadata.annotations[deployment.kubernetes.io/revision]"] == "1" else "changed"
    )
    yield point(
        "nothing else has changed",
        told if last else "apply does not know it yet",
        "untouched",
        f"kubectl rollout history deployment {v.grown}",
        why="Its users shall not notice: the same Deployment, the same Pods. Do not delete it.",
    )
    yield point(
        "all its Pods are available",
        found["status.availableReplicas"] if last else "apply does not know it yet",
        v.many,
        get,
        why="The file must say what there was, the number included.",
    )


def lost(see: Look, v: Values) -> Points:
    found = see.get("deployments.apps", v.app)
    get = f"kubectl get deployment {v.app}"
    container = found["spec.template.spec.containers[0]"] or {}
    value = next((e.get("value") for e in container.get("env", []) if e["name"] == v.setting), None)
    available = found["status.availableReplicas"] or 0
    runs = value is not None and available > 0
    yield point(
        "the setting that was lost is back",
        value,
        v.address,
        f"kubectl rollout history deployment {v.app} --revision=1",
        why="The program says in its log which setting it misses. Its value stands in the version before.",
    )
    yield point(
        "the new image has stayed",
        container.get("image") if runs else "it does not run",
        v.new,
        f"{get} -o wide",
        why="An undo takes back everything, the new image, too. Bring back only what was lost.",
    )
    yield point(
        "there are as many Pods as before",
        available,
        at_least(v.full),
        f"kubectl get events --field-selector involvedObject.name={v.app}",
        worth=2,
        why="replace sets everything to what the file says, the number too. The events tell what it was.",
    )


def own_file(see: Look, v: Values) -> Points:
    mine = see.get("deployments.apps", "mine")
    get = "kubectl get deployment mine"
    yield point("it has two replicas", mine["spec.replicas"], 2, get)
    yield point("it runs nginx", mine["spec.template.spec.containers[*].image"], ["nginx"], f"{get} -o wide")
    yield point(
        "it remembers its file",
        "yes" if mine and last_applied(mine.object) else None,
        "yes",
        "kubectl apply view-last-applied deployment mine",
        why="Write the manifest with --dry-run=client -o yaml, then apply it.",
    )


def _program(v: Values) -> dict[str, Any]:
    script = f'[ -n "${v.setting}" ] || {{ echo "fatal: {v.setting} is not set" >&2; exit 1; }}; sleep 86400'
    env = [{"name": v.setting, "value": v.address}]
    return objects.deployment(v.app, v.full, v.old, command=["sh", "-c", script], env=env)


_REPLACED = json.dumps(
    [
        {"op": "remove", "path": "/spec/template/spec/containers/0/env"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "{new}"},
        {"op": "replace", "path": "/spec/replicas", "value": 1},
    ]
)

TASKS = {
    "own-file": Exercise(own_file),
    "twice": Exercise(twice, owns=("deployments/{one}", "deployments/{two}")),
    "classify": Exercise(classify, owns=("configmaps/ways",)),
    "move": Exercise(
        move,
        owns=("deployments/{grown}",),
        begin=lambda v: objects.many(objects.deployment(v.grown, 1, v.runs)),
        then=("scale deployment {grown} --replicas={many}",),
    ),
    "lost": Exercise(
        lost,
        owns=("deployments/{app}",),
        begin=lambda v: objects.many(_program(v)),
        then=(f"patch deployment {{app}} --type=json -p '{_REPLACED}'",),
    ),
}
