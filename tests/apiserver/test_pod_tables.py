"""Tables of Pods; the expected cells are those of a real v1.36 cluster or of upstream's tests."""

import pytest
import yaml
from table_cells import NOW, RESOURCES, cells

from k8s_core.apiserver import tables

# (ready, status, restarts) of a Pod with two containers unless it says otherwise

PODS: dict[str, tuple[str, list[str]]] = {
    "pending": ("status: {phase: Pending}", ["0/2", "Pending", "0"]),
    "gated": (
        "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}",
        ["0/2", "SchedulingGated", "0"],
    ),
    "creating": (
        """
        status:
          phase: Pending
          containerStatuses:
          - {name: a, restartCount: 0, state: {waiting: {reason: ContainerCreating}}}
          - {name: b, restartCount: 0, state: {waiting: {reason: ContainerCreating}}}""",
        ["0/2", "ContainerCreating", "0"],
    ),
    "running": (
        """
        status:
          phase: Running
          containerStatuses:
          - {name: a, ready: true, restartCount: 0, state: {running: {}}}
          - {name: b, ready: true, restartCount: 0, state: {running: {startedAt: now}}}""",
        ["2/2", "Running", "0"],
    ),
    "crash loop": (
        """
        status:
          phase: Running
          containerStatuses:
          - {name: a, ready: true, restartCount: 0, state: {running: {}}}
          - name: b
            restartCount: 3
            state: {waiting: {reason: CrashLoopBackOff}}
            lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T00:55:00Z"}}""",
        ["1/2", "CrashLoopBackOff", "3 (5m ago)"],
    ),
    "first container's reason wins": (
        """
        status:
          phase: Running
          containerStatuses:
          - {name: a, restartCount: 1, state: {waiting: {reason: ImagePullBackOff}}}
          - {name: b, restartCount: 1, state: {terminated: {exitCode: 1, reason: Error}}}""",
        ["0/2", "ImagePullBackOff", "2"],
    ),
    "exit code": (
        "status: {containerStatuses: [{name: a, restartCount: 0, state: {terminated: {exitCode: 5}}}]}",
        ["0/2", "ExitCode:5", "0"],
    ),
    "signal": (
        "status: {phase: Failed, containerStatuses: [{name: a, restartCount: 0, state: {terminated: {signal: 9}}}]}",
        ["0/2", "Signal:9", "0"],
    ),
    "completed": (
        """
        status:
          phase: Succeeded
          containerStatuses:
          - {name: a, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed}}}
          - {name: b, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed}}}""",
        ["0/2", "Completed", "0"],
    ),
    "one completed, one running": (
        """
        status:
          phase: Running
          conditions: [{type: Ready, status: "True"}]
          containerStatuses:
          - {name: a, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed}}}
          - {name: b, ready: true, restartCount: 0, state: {running: {}}}""",
        ["1/2", "Running", "0"],
    ),
    "one completed, one running, not ready": (
        """
        status:
          phase: Running
          conditions: [{type: Ready, status: "False"}]
          containerStatuses:
          - {name: a, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed}}}
          - {name: b, ready: true, restartCount: 0, state: {running: {}}}""",
        ["1/2", "NotReady", "0"],
    ),
    "evicted": ("status: {phase: Failed, reason: Evicted}", ["0/2", "Evicted", "0"]),
    "terminating": (
        "{metadata: {deletionTimestamp: soon}, status: {phase: Running}}",
        ["0/2", "Terminating", "0"],
    ),
    "deleted after its end": (
        "{metadata: {deletionTimestamp: soon}, status: {phase: Succeeded}}",
        ["0/2", "Succeeded", "0"],
    ),
    "node lost": (
        "{metadata: {deletionTimestamp: soon}, status: {phase: Running, reason: NodeLost}}",
        ["0/2", "Unknown", "0"],
    ),
    "initializing": (
        """
        spec: {initContainers: [{name: i}, {name: j}]}
        status:
          phase: Pending
          initContainerStatuses:
          - {name: i, restartCount: 0, state: {terminated: {exitCode: 0}}}
          - {name: j, restartCount: 0, state: {running: {}}}
          containerStatuses:
          - {name: a, restartCount: 0, state: {waiting: {reason: PodInitializing}}}""",
        ["0/2", "Init:1/2", "0"],
    ),
    "pod initializing": (
        """
        spec: {initContainers: [{name: i}]}
        status:
          phase: Pending
          conditions: [{type: Initialized, status: "True"}]
          initContainerStatuses:
          - {name: i, restartCount: 2, state: {terminated: {exitCode: 0, reason: Completed}}}
          containerStatuses:
          - {name: a, restartCount: 0, state: {waiting: {reason: PodInitializing}}}""",
        ["0/2", "PodInitializing", "0"],
    ),
    "init crash loop": (
        """
        spec: {initContainers: [{name: i}]}
        status:
          phase: Pending
          initContainerStatuses:
          - name: i
            restartCount: 4
            state: {waiting: {reason: CrashLoopBackOff}}
            lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T00:59:30Z"}}""",
        ["0/2", "Init:CrashLoopBackOff", "4 (30s ago)"],
    ),
    "init error": (
        """
        spec: {initContainers: [{name: i}]}
        status:
          phase: Pending
          initContainerStatuses: [{name: i, restartCount: 0, state: {terminated: {exitCode: 1, reason: Error}}}]""",
        ["0/2", "Init:Error", "0"],
    ),
    "init exit code": (
        """
        spec: {initContainers: [{name: i}]}
        status:
          phase: Pending
          initContainerStatuses: [{name: i, restartCount: 0, state: {terminated: {exitCode: 7}}}]""",
        ["0/2", "Init:ExitCode:7", "0"],
    ),
    "sidecar": (
        """
        spec: {initContainers: [{name: i, restartPolicy: Always}]}
        status:
          phase: Running
          initContainerStatuses: [{name: i, ready: true, started: true, restartCount: 1, state: {running: {}}}]
          containerStatuses:
          - {name: a, ready: true, restartCount: 0, state: {running: {}}}
          - {name: b, ready: true, restartCount: 2, state: {running: {}}}""",
        ["3/3", "Running", "3"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), PODS.values(), ids=PODS)
def test_pods(text: str, expected: list[str]) -> None:
    """READY, STATUS and RESTARTS in every state that a Pod goes through."""
    obj = yaml.safe_load(text)
    obj.setdefault("spec", {})["containers"] = [{"name": "a"}, {"name": "b"}]
    assert cells("pods", yaml.safe_dump(obj))[1:4] == expected


def test_pods_wide() -> None:
    """Without a node or an address there is <none>; readiness gates are counted."""
    assert cells("pods", "")[4:] == ["4m1s", "<none>", "<none>", "<none>", "<none>"]
    wide = """
        spec: {nodeName: worker1, readinessGates: [{conditionType: A}, {conditionType: B}]}
        status: {podIPs: [{ip: 10.0.0.1}], nominatedNodeName: cp, conditions: [{type: A, status: "True"}]}"""
    assert cells("pods", wide)[5:] == ["10.0.0.1", "worker1", "cp", "1/2"]


def test_finished_pods_are_marked() -> None:
    """The row of a finished Pod has a condition, so that clients can leave it out."""
    resource = RESOURCES.find("pods")
    assert resource is not None
    obj = {"metadata": {"name": "x"}, "status": {"phase": "Failed"}}
    assert tables.render(resource, [obj], now=NOW)["rows"][0]["conditions"] == [
        {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    ]
