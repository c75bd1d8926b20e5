"""Every plugin, state in and verdict out: cases/*.yaml, with numbers worked out by hand beside them."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from cluster_on_paper import framework, node, pod

from k8s_core.scheduler import plugins
from k8s_core.scheduler.cache import PodInfo
from k8s_core.scheduler.framework import FitError, Result
from k8s_core.scheduler.preemption import DefaultPreemption

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['holds']}")
    for path in sorted(Path(__file__).with_name("cases").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def verdict(result: Result, asked: dict[str, Any]) -> dict[str, Any]:
    """What a case asks for, in the case's own form."""
    feasible = [node.name for node in result.feasible]
    table = result.table
    found: dict[str, Any] = {
        "filtered": {name: status.message for name, status in result.filtered.items()},
        "chosen": result.node,
        "ties": [node.name for node in result.ties],
        "feasible": feasible,
        "scores": {},
    }
    if table:
        found["total"] = dict(zip(feasible, table.total, strict=True))
        for plugin in asked.get("scores", {}):
            if plugin in table.columns:
                raw, normalized, weight = table.columns[plugin]
                weighted = [weight * score for score in normalized]
                rows = zip(raw, normalized, weighted, strict=True)
                found["scores"][plugin] = {name: list(row) for name, row in zip(feasible, rows, strict=True)}
            else:
                found["scores"][plugin] = "skipped"
    return {key: value for key, value in found.items() if key in asked}


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    """The framework filters, scores and explains as the case says."""
    asked = {key: case[key] for key in ("filtered", "scores", "total", "chosen", "ties", "feasible") if key in case}
    incoming = PodInfo(pod("incoming", case["pod"]))
    scheduling, victims = framework(case), list[str]()
    preemption = scheduling.plugins["DefaultPreemption"]
    assert isinstance(preemption, DefaultPreemption)
    preemption.evict = lambda _, candidate: victims.extend(victim.name for victim in candidate.victims)
    try:
        result = scheduling.schedule(incoming)
    except FitError as error:
        assert (error.nominate or "", victims) == (case.get("nominated", ""), case.get("victims", [])), str(error)
        assert str(error) == case.get("message", str(error) if victims else ""), "no node fits"
        filtered = {name: status.message for name, status in error.diagnosis.nodes.items()}
        assert filtered == case.get("filtered", filtered)
    else:
        assert not {"message", "nominated"} & set(case), f"scheduled to {result.node}"
        assert verdict(result, asked) == asked


def test_every_plugin_has_its_cases() -> None:
    """Each plugin stands in a case; gates are proved with the queue, and claims that nobody holds have one word."""
    written = "".join(path.read_text() for path in Path(__file__).with_name("cases").glob("*.yaml"))
    assert {name for name in plugins.names() if name not in written} == {"SchedulingGates", "DynamicResources"}


def test_a_large_cluster_is_looked_at_in_turns() -> None:
    """percentageOfNodesToScore of the nodes are enough, at least a hundred; the next Pod begins where this ended."""
    nodes: dict[str, Any] = {f"n{number:03}": {} for number in range(300)}
    for percentage, enough in ((0, 144), (40, 120), (5, 100), (100, 300)):
        chosen = framework({"nodes": nodes, "profile": {"percentageOfNodesToScore": percentage}})
        first = [node.name for node in chosen.schedule(PodInfo(pod("one", {"cpu": 1}))).feasible]
        second = [node.name for node in chosen.schedule(PodInfo(pod("two", {"cpu": 1}))).feasible]
        assert first == list(nodes)[:enough]
        assert second == [f"n{number % 300:03}" for number in range(enough, 2 * enough)]


SHAPES: list[dict[str, Any]] = [
    {"cpu": "100m", "memory": "64Mi", "labels": {"app": "a"}},
    {"labels": {"app": "b"}, "tolerations": [{"key": "soft", "operator": "Exists"}]},
    {
        "cpu": 1,
        "labels": {"app": "a"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 2,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": "a"}},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    },
    {
        "memory": "1Gi",
        "labels": {"app": "c"},
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 7,
                        "podAffinityTerm": {
                            "topologyKey": "topology.kubernetes.io/zone",
                            "labelSelector": {"matchLabels": {"app": "a"}},
                        },
                    }
                ]
            },
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 5, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
                ]
            },
        },
    },
]


def _some_node(random: Random) -> dict[str, Any]:
    labels = {"topology.kubernetes.io/zone": random.choice("xyz")} if random.random() < 0.8 else {}
    if random.random() < 0.3:
        labels["disk"] = "ssd"
    taints = [{"key": "soft", "effect": "PreferNoSchedule"}] if random.random() < 0.2 else []
    images = {"nginx:latest": 300_000_000} if random.random() < 0.3 else {}
    return {"cpu": random.choice((4, 8)), "labels": labels, "taints": taints, "images": images}


@pytest.mark.parametrize("seed", range(6))
def test_scoring_kinds_of_nodes_is_scoring_nodes(seed: int) -> None:
    """While Pods and nodes come, go and change, the scores are those of a framework that looks at each node anew."""
    random = Random(seed)
    services = [{"metadata": {"name": "b"}, "spec": {"selector": {"app": "b"}}}]
    nodes = {f"n{number}": _some_node(random) for number in range(random.choice((5, 40, 130)))}
    quick = framework({"nodes": nodes, "objects": {"services": services}})
    cache, placed = quick.handle.cache, list[PodInfo]()
    for turn in range(60):
        what = random.random()
        if what < 0.1 or not cache.nodes:
            cache.set_node(node(f"n{random.randrange(len(nodes) + 5)}", _some_node(random)))
        elif what < 0.15:
            cache.remove_node(random.choice(cache.nodes).name)
        elif what < 0.3 and placed:
            cache.remove_pod(placed.pop(random.randrange(len(placed))).uid)
        incoming = PodInfo(pod(f"p{turn}", random.choice(SHAPES)))
        plain = plugins.build(quick.handle)
        plain._even, plain._next_start = False, quick._next_start
        found, expected = quick.schedule(incoming), plain.schedule(incoming)
        assert (found.node, found.ties, found.feasible) == (expected.node, expected.ties, expected.feasible)
        if found.table and expected.table:
            assert found.table.columns == expected.table.columns
            assert found.table.total == expected.table.total
            assert len(set(expected.table.of)) == len(expected.feasible)
        cache.add_pod(incoming, found.node)
        placed.append(incoming)
