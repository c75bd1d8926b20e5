"""What Kubernetes' own end-to-end tests of Pods (test/e2e/common/node and /storage) look at, as cases.

A case: `what` holds; objects `given`; one Pod, p, with `metadata` and `spec` (of containers that are started once
unless it says otherwise); `steps` (advance seconds, patch, delete, create, exec), ten seconds by default. Then c
has printed `log`, or what `log has` in this order (`logs have`, by container); the Pod's `phase` and its `status`, the
`state` and `last` state of c contain what is given; `event` is one of its (reason, message); `refused` is the
apiserver's message when the Pod cannot be created.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from node_world import World

from k8s_core.api.errors import StatusError

PLURALS = {
    "ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Pod": "pods",
    "RuntimeClass": "runtimeclasses.node.k8s.io",
}  # fmt: skip
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())["cases"]
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("node"))
    yield made
    made.cluster.stop()


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` is found in `whole`: mappings by key (None: absent), lists item by item, the rest equal."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(contains(whole.get(key), each) for key, each in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) >= len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def place(obj: dict[str, Any]) -> tuple[str, str]:
    """The resource of an object and its namespace."""
    return PLURALS[obj["kind"]], "" if obj["kind"] == "RuntimeClass" else "default"


def perform(world: World, step: dict[str, Any]) -> None:
    ((verb, what),) = step.items()
    match verb:
        case "advance":
            world.loop.advance(what)
        case "create":
            plural, namespace = place(what)
            world.client.create(plural, what, namespace)
        case "delete":
            plural, namespace = place(what)
            world.client.delete(plural, what["name"], namespace, grace_seconds=what.get("grace"))
        case "patch":
            plural, namespace = place(what)
            world.client.patch(
                plural,
                what["name"],
                namespace,
                what["patch"],
                kind="strategic",
                subresource=what.get("subresource", ""),
            )
        case "exec":
            found = world.exec("p", *what["command"])
            assert (found.out, found.err) == (what.get("out", ""), what.get("err", "")), found.message
            assert found.code == what.get("code", 0)
        case _:
            raise ValueError(f"no such step: {verb}")
    world.loop.run_ready()


def in_order(text: str, pieces: list[str]) -> None:
    at = 0
    for piece in pieces:
        assert piece in text[at:], text
        at = text.index(piece, at) + len(piece)


@pytest.mark.parametrize("case", CASES)
def test_pods_do_what_their_cases_say(world: World, case: dict[str, Any]) -> None:
    """As the case itself says."""
    unknown = set(case) - {
        "what", "given", "metadata", "spec", "steps", "log", "log has", "logs have", "phase", "status", "state",
        "last", "event", "refused", "gone",
    }  # fmt: skip
    assert not unknown
    given = [*case.get("given", ())]
    try:
        for obj in given:
            perform(world, {"create": obj})
        pod = {
            "metadata": {"name": "p", **case.get("metadata", {})},
            "spec": {"restartPolicy": "Never", **case["spec"]},
        }
        if "refused" in case:
            with pytest.raises(StatusError) as refused:
                world.create(pod)
            assert refused.value.status["message"] == case["refused"]
            return
        world.create(pod)
        for step in case.get("steps", [{"advance": 10}]):
            perform(world, step)
        check(world, case)
    finally:
        clear(world)


def check(world: World, case: dict[str, Any]) -> None:
    if case.get("gone"):
        assert world.gone("p")
        return
    status = world.pod("p")["status"]
    state = (status.get("containerStatuses") or [{}])[0]
    shown = yaml.safe_dump(status)
    assert case.get("phase", status["phase"]) == status["phase"], shown
    assert contains(status, case.get("status", {})), shown
    assert contains(state.get("state") or {}, case.get("state", {})), shown
    assert contains(state.get("lastState") or {}, case.get("last", {})), shown
    if "event" in case:
        uid = world.pod("p")["metadata"]["uid"]
        assert tuple(case["event"]) in [(reason, text.replace(uid, "UID")) for reason, text in world.events("p")]
    if "log" in case:
        assert world.logs("p") == case["log"]
    in_order(world.logs("p") if "log has" in case else "", case.get("log has", []))
    for container, pieces in case.get("logs have", {}).items():
        in_order(world.logs("p", container), pieces)


def clear(world: World) -> None:
    """Leave nothing for the next case."""
    for kind, plural in PLURALS.items():
        for each in world.client.list(plural):
            meta = each["metadata"]
            if meta["name"] in ("kubernetes", "kube-root-ca.crt") or meta.get("namespace") == "kube-system":
                continue
            world.client.delete(
                plural, meta["name"], meta.get("namespace", ""), grace_seconds=0 if kind == "Pod" else None
            )
    for each in world.client.list("events", "default"):
        world.client.delete("events", each["metadata"]["name"], "default")
    world.loop.advance(2)
