"""What Kubernetes' own end-to-end tests of workloads (test/e2e/apps, /apimachinery, /autoscaling) look at, as cases.

A case: `what` holds, and its `steps`, one after the other, in a namespace of its own ($NS) of one whole cluster. A
step is a verb and what it is about:

- `create` an object or several; `delete` one (`propagation`, `grace`, `uid`) or a collection (`labels`, no name);
- `patch`, `merge`, `json`, `apply` an object or its `subresource`; `replace` it with itself and `with` merged in;
- `scale` by the subresource scale; `evict` a Pod; `exec` a shell line in a Pod and compare what it prints;
- `page` of a Service by the apiserver's proxy;
- `settle` until nothing is under way, or `advance` so many seconds;
- `fail` so many Pods with `labels` by their status; `copy` an object `as` another one;
- `save` a field of an object as a $NAME, `save-first` the name of a kind's oldest;
- `watch` a kind from here on, `seen` what came and went;
- `look` at one object, or its `subresource`, before anybody else does anything;
- `see` objects that contain what is given, `gone` ones that are not there, `count` of objects by kind,
  `events` about an object that came in that order, `never` events that did not come;
- any of the first with `refused`: the message of the error (`code`, `reason`, `causes` of it).

In texts ... stands for anything; ANY matches what is there, ABSENT what is not.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apps_world import Refused, World

from k8s_core.api import Object

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in sorted((Path(__file__).parent / "apps").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())["cases"]
]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    mutated = made.cluster.apiserver.registry.storage.mutated()
    made.cluster.stop()
    assert not mutated, "shared objects were changed in place"


@pytest.mark.parametrize("case", CASES)
def test_workloads_do_what_their_cases_say(world: World, case: dict[str, Any]) -> None:
    """As the case itself says."""
    world.begin()
    try:
        for step in case["steps"]:
            perform(world, world.filled(step))
    finally:
        for obj in case.get("after", ()):
            perform(world, obj)
        world.end()


def perform(world: World, step: dict[str, Any]) -> None:
    step = dict(step)
    refused = {key: step.pop(key) for key in ("refused", "code", "reason", "causes") if key in step}
    ((verb, what),) = step.items()
    if not refused:
        act(world, verb, what)
        return
    with pytest.raises(Refused) as caught:
        act(world, verb, what)
    status = caught.value.status
    assert contains(status["message"], refused.get("refused", status["message"])), status["message"]
    assert status["code"] == refused.get("code", status["code"])
    assert status.get("reason") == refused.get("reason", status.get("reason"))
    assert contains(status.get("details", {}).get("causes"), refused.get("causes", "ANY")), status


def act(world: World, verb: str, what: Any) -> None:
    """Carry out one step."""
    match verb:
        case "settle":
            world.cluster.settle()
        case "advance":
            world.cluster.advance(what)
        case "create":
            for obj in what if isinstance(what, list) else [what]:
                create(world, obj)
        case "patch" | "merge" | "json" | "apply":
            path = world.path(what["kind"], what["name"], what.get("subresource", ""), what.get("namespace", ""))
            query = {"fieldManager": "e2e"} if verb == "apply" else {}
            world.send("PATCH", path, what["with"], verb, **query)
        case "replace":
            subresource = what.get("subresource", "")
            found = world.get(what["kind"], what["name"], subresource if subresource != "finalize" else "")
            world.send("PUT", world.path(what["kind"], what["name"], subresource), merged(found, what["with"]))
        case "scale":
            path = world.path(what["kind"], what["name"], "scale")
            world.send("PUT", path, merged(world.send("GET", path), {"spec": {"replicas": what["to"]}}))
        case "evict":
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": what}}
            world.send("POST", world.path("Pod", what, "eviction"), body)
        case "delete":
            delete(world, what)
        case "exec":
            assert contains(world.exec(what["pod"], what["run"]), what.get("prints", "ANY"))
        case "page":
            assert world.page(what["service"], what["path"]) == what["is"]
        case "save":
            for name, (kind, of, path) in what.items():
                world.save(name, kind, of, path)
        case "save-first":
            for name, kind in what.items():
                world.saved[name] = world.all(kind)[0]["metadata"]["name"]
        case "copy":
            found = world.get(what["kind"], what["name"])
            kept = {key: found["metadata"][key] for key in ("labels", "ownerReferences") if key in found["metadata"]}
            create(world, {**found, "metadata": {**kept, "name": what["as"]}, **what["with"]})
        case "fail":
            for pod in world.all("Pod", what.get("labels", ""))[: what.get("number", 1)]:
                path = world.path("Pod", pod["metadata"]["name"], "status")
                world.send("PUT", path, merged(pod, {"status": {"phase": "Failed"}}))
        case "watch":
            world.watch(what)
        case "look" | "see" | "gone" | "count" | "events" | "never" | "seen":
            if verb != "look":
                world.cluster.loop.run_ready()
            CHECKS[verb](world, what)
        case _:
            raise ValueError(f"no such step: {verb}")


def create(world: World, obj: Object) -> None:
    """An object, its status too if it says one."""
    namespace = obj["metadata"].get("namespace", "")
    made = world.send("POST", world.path(obj["kind"], namespace=namespace), obj)
    if "status" in obj:
        path = world.path(obj["kind"], made["metadata"]["name"], "status", namespace)
        world.send("PUT", path, {**made, "status": obj["status"]})


def delete(world: World, what: dict[str, Any]) -> None:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    for key, option in (("propagation", "propagationPolicy"), ("grace", "gracePeriodSeconds")):
        if key in what:
            options[option] = what[key]
    if "uid" in what:
        options["preconditions"] = {"uid": what["uid"]}
    query = {"labelSelector": what["labels"]} if "labels" in what else {}
    world.send("DELETE", world.path(what["kind"], what.get("name", "")), options, **query)


def merged(obj: Any, change: Any) -> Any:
    """With `change` laid over it: mappings by key (None takes away), all else replaced."""
    if not isinstance(change, dict) or not isinstance(obj, dict):
        return change
    kept = {key: value for key, value in obj.items() if change.get(key, 0) is not None}
    return {**kept, **{key: merged(kept.get(key), value) for key, value in change.items() if value is not None}}


# --- looking --------------------------------------------------------------------------------------------------------
def contains(have: Any, want: Any) -> bool:
    """Whether `want` is part of `have`: mappings may have more keys, lists must have the same length."""
    if want == "ANY":
        return True
    if isinstance(want, dict):
        return isinstance(have, dict) and all(
            key not in have if value == "ABSENT" else key in have and contains(have[key], value)
            for key, value in want.items()
        )
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(contains, have, want))
    if isinstance(want, str) and "..." in want:
        pattern = ".*".join(map(re.escape, want.split("...")))
        return isinstance(have, str) and re.fullmatch(pattern, have, re.DOTALL) is not None
    return bool(have == want)


def see(world: World, what: list[Object]) -> None:
    """Each is part of another object that is there; with a name, of that one."""
    taken: set[str] = set()
    for wanted in what:
        name = wanted.get("metadata", {}).get("name", "")
        found = [each for each in world.all(wanted["kind"]) if not name or contains(each["metadata"]["name"], name)]
        bare = {key: value for key, value in wanted.items() if key != "kind"}
        match = next((e for e in found if e["metadata"]["uid"] not in taken and contains(e, bare)), None)
        shown = yaml.safe_dump_all([without_noise(each) for each in found])
        assert match is not None, f"no {wanted['kind']} has\n{yaml.safe_dump(bare)}\nthere are\n{shown}"
        taken.add(match["metadata"]["uid"])


def without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def look(world: World, what: dict[str, Any]) -> None:
    """One object, or its subresource, contains what is given."""
    found = world.get(what["kind"], what["name"], what.get("subresource", ""), what.get("namespace", ""))
    assert contains(found, what["has"]), yaml.safe_dump(without_noise(found))


def gone(world: World, what: list[Object]) -> None:
    for each in what:
        assert each["name"] not in [obj["metadata"]["name"] for obj in world.all(each["kind"])]


def count(world: World, what: dict[str, int]) -> None:
    """By kind, or by kind and labels: "Pod app=web"."""
    for about, number in what.items():
        kind, _, labels = about.partition(" ")
        names = [each["metadata"]["name"] for each in world.all(kind, labels)]
        assert len(names) == number, f"{about}: {names}"


def events(world: World, what: dict[str, list[str]]) -> None:
    for name, wanted in what.items():
        have = world.events(name)
        rest = iter(have)
        assert all(any(contains(each, text) for each in rest) for text in wanted), have


def never(world: World, what: dict[str, list[str]]) -> None:
    for name, unwanted in what.items():
        have = world.events(name)
        assert not [each for each in have for text in unwanted if contains(each, text)], have


def seen(world: World, what: dict[str, list[str]]) -> None:
    for kind, wanted in what.items():
        assert contains(world.seen[kind], wanted), world.seen[kind]
        world.seen[kind].clear()


CHECKS = {"see": see, "look": look, "gone": gone, "count": count, "events": events, "never": never, "seen": seen}
