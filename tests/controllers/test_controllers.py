"""Every controller by its cases: YAML that says what there is, what happens, and what there must be afterwards.

A case: `what` holds; `controllers` that run; `given` objects; `steps` (create, patch, delete, advance seconds,
settle, silence a node, load of so many thousandths of a processor on each Pod); `then` objects, each part of a
different one that exists; `count` of objects by kind; `gone` objects; `events` in order (all, or of one kind with
`events_of`). Hashes of Pod templates are called HASH1, HASH2 ...
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from controller_world import World, contains, renamed

from k8s_core.api import Object
from k8s_core.controllers import CONTROLLERS

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())["cases"]
]


def perform(world: World, step: dict[str, Any]) -> None:
    ((verb, what),) = step.items()
    match verb:
        case "advance":
            world.cluster.advance(what)
        case "settle":
            world.cluster.settle()
        case "create":
            world.create(what)
        case "heartbeat":
            world.heartbeat(what)
        case "load":
            world.load(what)
        case "silence":
            world.alive[what] = False
        case "patch":
            kind = what.get("type", "strategic")
            world.client.patch(
                resource(world, what["kind"]), what["name"], place(world, what), what["patch"], kind=kind,
                subresource=what.get("subresource", ""),
            )  # fmt: skip
        case "delete":
            world.client.delete(
                resource(world, what["kind"]), what["name"], place(world, what),
                propagation=what.get("propagation", "Background"),
            )  # fmt: skip
        case _:
            raise ValueError(verb)


def resource(world: World, kind: str) -> str:
    return next(each.group_resource for each in world.client.resources if each.kind == kind)


def place(world: World, what: Object) -> str:
    found = world.client.resources.find(resource(world, what["kind"]))
    assert found is not None
    return str(what.get("namespace", "default")) if found.namespaced else ""


@pytest.mark.parametrize("case", CASES)
def test_controllers_do_what_their_cases_say(case: dict[str, Any]) -> None:
    """State in, state out."""
    world = World(tuple(case["controllers"]), kubelet=case.get("kubelet", True))
    try:
        for obj in case.get("given", ()):
            world.create(obj)
        for step in case.get("steps", [{"settle": True}]):
            perform(world, step)
        check(world, case)
        assert not world.cluster.apiserver.registry.storage.mutated(), "shared objects were changed in place"
    finally:
        world.stop()


def check(world: World, case: dict[str, Any]) -> None:
    taken: set[str] = set()
    hashes = world.hashes()
    for wanted in case.get("then", ()):
        found = [renamed(each, hashes) for each in world.all(wanted["kind"])]
        match = next((each for each in found if each["metadata"]["uid"] not in taken and contains(each, wanted)), None)
        shown = yaml.safe_dump_all([without_noise(each) for each in found], sort_keys=False)
        assert match is not None, f"no {wanted['kind']} has\n{yaml.safe_dump(wanted)}\nthere are\n{shown}"
        taken.add(match["metadata"]["uid"])
    for kind, number in case.get("count", {}).items():
        names = [each["metadata"]["name"] for each in world.all(kind)]
        assert len(names) == number, f"{kind}: {names}"
    for missing in case.get("gone", ()):
        assert missing["name"] not in [each["metadata"]["name"] for each in world.all(missing["kind"])]
    if case.get("events") is not None:
        assert renamed(world.events(case.get("events_of", "")), hashes) == case["events"]


def without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def test_every_controller_has_its_cases() -> None:
    """Each stands in a case."""
    folder = Path(__file__).parent
    written = "".join(path.read_text() for path in (folder / "cases").glob("*.yaml"))
    assert [name for name in CONTROLLERS if name not in written] == []
