"""Chapter 17: kubectl apply. A merge foretold, a merge written, a conflict, and an apply that forgets a scaling."""

import json
import random
from typing import Any

import yaml

from course.checks import Look, Points, Seen, at_least, point, same_items
from course.checks.rules import show
from course.tasks import Exercise, Values, objects
from course.widgets.merge import LAST_APPLIED, last_applied

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll", "linden")
_KEYS = ("colour", "limit", "region", "theme", "cache", "proxy", "level", "batch")
_ANOTHER = "something else (try it with a file of your own)"


def values(draw: random.Random) -> Values:
    """Keys, words and sizes that differ from learner to learner."""
    words, keys = draw.sample(_WORDS, 9), draw.sample(_KEYS, 4)
    old, new = draw.sample(("nginx:1.26", "nginx:1.27", "nginx:1.28", "nginx:1.29"), 2)
    small = draw.choice((2, 3))
    found = Values(
        settings=draw.choice(("settings", "options", "tuning")),
        reset=keys[0],
        dropped=keys[1],
        foreign=keys[2],
        changed=keys[3],
        words=" ".join(words),
        web=draw.choice(("portal", "front", "site")),
        old=old,
        new=new,
        robot=draw.choice(("autoscaler", "scaler", "sizer")),
        team=draw.choice(("team-red", "team-blue", "team-green")),
        seen=draw.randint(5, 8),
        wish=small,
        release=f"r{draw.randint(20, 90)}",
        shop=draw.choice(("shop", "till", "market")),
        few=small,
        many=draw.randint(5, 7),
    )
    found.file = _text(yaml.safe_dump(_file(found), sort_keys=False))
    found.manifest = _text(yaml.safe_dump(_wanted(found), sort_keys=False))
    found.delivery = _text(yaml.safe_dump(_deployment(found.shop, found.new, found.few), sort_keys=False))
    return found


# --- predict: each key of a ConfigMap is another case of the three-way merge ---------------------------------------
def _file(v: Values) -> dict[str, Any]:
    w = v.words.split()
    return _config(v.settings, {v.reset: w[0], v.changed: w[1]})


def _last(v: Values) -> dict[str, Any]:
    w = v.words.split()
    return _config(v.settings, {v.reset: w[0], v.dropped: w[2], v.changed: w[3]})


def _live(v: Values) -> dict[str, Any]:
    w = v.words.split()
    live = _config(v.settings, {v.reset: w[4], v.dropped: w[5], v.foreign: w[6], v.changed: w[3]})
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(_last(v))}
    return live


def predict(see: Look, v: Values) -> Points:
    w, answer = v.words.split(), see.get("configmaps", "forecast")
    get = "kubectl get configmap forecast -o jsonpath='{.data}'"
    for key, right, why in (
        (v.reset, w[0], "The file and the live object differ, so the patch sets it back to what the file says."),
        (v.dropped, "gone", "What was applied last and is not in the file any more is taken away, changed or not."),
        (v.foreign, w[6], "What was never in a file is not apply's business. It stays."),
        (v.changed, w[1], "The file says something new, so it becomes that."),
    ):
        told = answer[f"data.{key}"]
        yield objects.answer(f"what becomes of {key}", told, right, get, why=why, untold=_ANOTHER)


# --- write: the learner's own three-way merge -------------------------------------------------------------------------
_CASES: tuple[tuple[str, str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]], dict[str, Any]], ...] = (
    (
        "what the file says is in the result",
        "Begin with the live object, and put in what the file has.",
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 1}),
        {"a": 2, "b": 3},
    ),
    (
        "what somebody else wrote stays",
        "A key that is neither in the last file nor in this one stays as it is.",
        ({"a": 1}, {"a": 1}, {"a": 1, "theirs": "x"}),
        {"a": 1, "theirs": "x"},
    ),
    (
        "what left the file leaves the object",
        "A key of the last file that this one has not is taken away, even if somebody changed it.",
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 7}),
        {"a": 1},
    ),
    (
        "maps in maps are merged, too",
        "If both values are maps, do the same with them. A map of which nothing is left stays as an empty one.",
        (
            {"labels": {"app": "web", "tier": "front"}, "spec": {"size": {"cpu": 1}}},
            {"labels": {"app": "web"}, "spec": {"size": {"cpu": 2}}},
            {"labels": {"app": "web", "tier": "front", "owner": "ada"}, "spec": {"size": {"cpu": 1, "memory": 4}}},
        ),
        {"labels": {"app": "web", "owner": "ada"}, "spec": {"size": {"cpu": 2, "memory": 4}}},
    ),
    (
        "a map that is new, or that replaces a plain value, is taken as it is",
        "Only two maps can be merged. Everything else is taken from the file, or dropped, as a whole.",
        ({"a": 1, "m": {"x": 1}}, {"a": {"b": 2}, "n": {"y": 1}}, {"a": 1, "m": {"x": 1}, "l": [1]}),
        {"a": {"b": 2}, "n": {"y": 1}, "l": [1]},
    ),
)


def write(see: Look, v: Values) -> Points:
    for what, why, *case in _CASES:
        (last, file, live), right = see.other_names(case)
        got = see.call(last, file, live)
        said = json.dumps(got) if isinstance(got, dict) else show(got)
        yield point(what, said, json.dumps(right) if got != right else said, _call(last, file, live), why=why)


def _call(last: Any, file: Any, live: Any) -> str:
    return f"print(three_way({last}, {file}, {live}))"


# --- conflict ------------------------------------------------------------------------------------------------------
def conflict(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.web)
    get = f"kubectl get deployment {v.web}"
    fields = f"{get} -o yaml --show-managed-fields"
    release = deployment["spec.template.spec.containers[0].env[name=RELEASE].value"]
    done = release == v.release
    not_yet = "the release is not delivered"
    yield point(
        "the release is delivered",
        release,
        v.release,
        f"{get} -o jsonpath='{{.spec.template.spec.containers[0].env}}'",
        why="A refused apply changes nothing at all.",
    )
    mine = [
        entry
        for entry in deployment["metadata.managedFields"] or []
        if entry["manager"] == v.team and entry["operation"] == "Apply"
    ]
    yield point(
        f"what the file says belongs to {v.team}",
        [each["manager"] for each in mine if "RELEASE" in json.dumps(each["fieldsV1"])],
        [v.team],
        fields,
        why=f"Server-side apply says who applies: kubectl apply --server-side --field-manager={v.team}.",
    )
    yield point(
        f"there are still {v.seen} replicas",
        deployment["spec.replicas"] if done else not_yet,
        v.seen,
        get,
        why=f"--force-conflicts takes the field away from {v.robot}. It knows better how many Pods are needed.",
    )
    yield point(
        f"replicas belongs to {v.robot} alone",
        _who_owns_replicas(deployment) if done else not_yet,
        same_items([v.robot]),
        fields,
        why="Do not send what you do not want to own: leave the field out of your file.",
    )


def _who_owns_replicas(deployment: Seen) -> list[str]:
    entries = deployment["metadata.managedFields"] or []
    return [entry["manager"] for entry in entries if "f:replicas" in entry["fieldsV1"].get("f:spec", {})]


# --- reset (break and fix) --------------------------------------------------------------------------------------------
def reset(see: Look, v: Values) -> Points:
    deployment = see.get("deployments.apps", v.shop)
    get = f"kubectl get deployment {v.shop}"
    image = deployment["spec.template.spec.containers[0].image"]
    done = image == v.new
    not_yet = "the release is not delivered"
    yield point("the release is delivered", image, v.new, f"{get} -o wide", why="Its file says which image.")
    versions, _ = see.versions("deployments.apps", v.shop)
    fewest = min((int(each["spec.replicas"] or 0) for each in versions), default=deployment["spec.replicas"] or 0)
    yield point(
        f"at no moment were fewer than {v.many} Pods wished",
        fewest if done else not_yet,
        at_least(v.many),
        f"kubectl get events --field-selector involvedObject.name={v.shop}",
        worth=2,
        why="A file with replicas sets them back. One without takes them away, if the last one had them: then the "
        'server\'s default is 1. What is past stays past: begin again with lab.reset("reset").',
    )
    applied = last_applied(deployment.object) if deployment else {}
    owners = [e for e in deployment["metadata.managedFields"] or [] if e["operation"] == "Apply"]
    declared = applied.get("spec", {}).get("replicas")
    taken = any("f:replicas" in e["fieldsV1"].get("f:spec", {}) for e in owners)
    yield point(
        "the next apply of the same file will not change the number",
        not_yet if not done else "apply still minds replicas" if declared or taken or not applied else "it will not",
        "it will not",
        f"kubectl apply view-last-applied deployment {v.shop}",
        worth=1,
        why="What apply minds stands in the last-applied annotation. kubectl apply set-last-applied -f FILE "
        "changes that alone, before you apply.",
    )


def own_apply(see: Look, v: Values) -> Points:
    mine = see.get("configmaps", "mine")
    get = "kubectl get configmap mine -o yaml"
    yield point("it has one key, colour", mine["data"], {"colour": "blue"}, get, why="Take size out, and apply again.")
    last = last_applied(mine.object).get("data") if mine else None
    yield point("the last file was applied", last, {"colour": "blue"}, "kubectl apply view-last-applied configmap mine")


def _config(name: str, data: dict[str, str]) -> dict[str, Any]:
    return objects.within("default", objects.config(name, data))[0]


def _deployment(name: str, image: str, replicas: int) -> dict[str, Any]:
    """As it stands in a file, so with its namespace."""
    return objects.within("default", objects.deployment(name, replicas, image))[0]


def _wanted(v: Values) -> dict[str, Any]:
    made = _deployment(v.web, v.old, v.wish)
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "RELEASE", "value": v.release}]
    return made


def _text(text: str) -> str:
    return text.rstrip("\n")


def _reset_begin(v: Values) -> str:
    made = _deployment(v.shop, v.old, v.few)
    live = _deployment(v.shop, v.old, v.many)
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(made)}
    return objects.many(live)


TASKS = {
    "own-apply": Exercise(own_apply),
    "predict": Exercise(
        predict, owns=("configmaps/forecast", "configmaps/{settings}"), begin=lambda v: objects.many(_live(v))
    ),
    "write": Exercise(write),
    "conflict": Exercise(
        conflict,
        owns=("deployments/{web}",),
        begin=lambda v: objects.many(_deployment(v.web, v.old, v.wish)),
        then=('patch deployment {web} --type=merge -p \'{"spec":{"replicas":{seen}}}\' --field-manager={robot}',),
    ),
    "reset": Exercise(reset, owns=("deployments/{shop}",), begin=_reset_begin),
}
