"""Every plugin, state in and verdict out: cases/*.yaml, with numbers worked out by hand beside them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_on_paper import framework, pod

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
