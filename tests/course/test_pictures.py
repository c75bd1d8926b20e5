"""Pictures and their text, from plain data."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from course.status import pod_status
from course.widgets import pictures, way
from course.widgets.state import elapsed


def pod(name: str, status: str, namespace: str = "default") -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "node": "", "status": status, "ready": "1/1", "ip": "10.32.1.4"}


STATE: dict[str, Any] = {
    "revision": 120,
    "time": "+12 s",
    "namespaces": 1,
    "nodes": [
        {"name": "cp", "status": "Ready", "pods": [], "hidden": 7},
        {"name": "worker1", "status": "Ready", "pods": [pod("web-1", "Running"), pod("<b>", "Error")], "hidden": 0},
    ],
    "unscheduled": [pod("web-2", "Pending")],
    "services": [
        {"name": "web", "namespace": "default", "address": "ClusterIP 10.96.0.12 port 80", "pods": ["default/web-1"]}
    ],
}


def test_the_cluster_picture_is_a_picture_with_a_name() -> None:
    """The SVG is well-formed, says what it shows to a screen reader, and names every node, Pod and Service."""
    svg = pictures.cluster(STATE)
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert "2 nodes, 3 Pods (1 running), 1 Service" in svg
    for name in ("cp", "worker1", "web-1", "web-2", "no node yet", "Service web", "&lt;b&gt;"):
        assert name in svg
    assert "prefers-color-scheme:dark" in svg
    assert "--jp-layout-color1" in svg


def test_the_text_says_what_the_picture_shows() -> None:
    """Every fact of the picture is in its text, state included: nothing is told by colour alone."""
    text = pictures.cluster_text(STATE)
    for fact in ("revision 120", "Pod web-1: Running", "no node yet: Pod web-2", "-> web-1", "7 of kube-sys"):
        assert fact in text
    assert "Running" in pictures.cluster(STATE)


def test_an_empty_cluster_can_be_drawn() -> None:
    """No nodes, no Pods: still a picture."""
    empty = {**STATE, "nodes": [], "unscheduled": [], "services": []}
    ET.fromstring(pictures.cluster(empty))
    assert "0 nodes" in pictures.cluster_text(empty)


def event(user: str, agent: str, verb: str, resource: str, name: str, second: int, code: int = 200) -> dict[str, Any]:
    return {
        "verb": verb,
        "user": {"username": user},
        "userAgent": agent,
        "objectRef": {"resource": resource, "name": name},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-01T00:00:{second:02}Z",
        "trace": [["authentication", "admin"], ["etcd", "created at revision 7"]] if agent else [],
    }


SA = "system:serviceaccount:kube-system:"
AUDIT = [
    event("kubernetes-admin", "kubectl/v1.36", "create", "deployments", "web", 0),
    event(SA + "deployment-controller", "", "create", "replicasets", "web-1", 0),
    event(SA + "replicaset-controller", "", "create", "pods", "web-1-a", 0),
    event("system:node:worker1", "", "patch", "leases", "worker1", 1),
    event("system:kube-scheduler", "", "create", "pods/binding", "web-1-a", 1),
    event("system:node:worker1", "", "patch", "pods/status", "web-1-a", 1),
    event("system:node:worker1", "", "patch", "pods/status", "web-1-a", 2),
]


def test_the_way_of_a_request_goes_from_writer_to_watcher() -> None:
    """Each write is preceded by the news it follows from; heartbeats and all but the last report are left out."""
    actors, steps = way.steps(AUDIT)
    assert actors == [
        "kubectl",
        "kube-apiserver",
        "etcd",
        "deployment controller",
        "replicaset controller",
        "kube-scheduler",
        "kubelet worker1",
    ]
    texts = [f"{step['from']} {step['to']} {step['text']}" for step in steps]
    assert texts == [
        "kubectl kube-apiserver create deployments web",
        "kube-apiserver kube-apiserver authentication: admin",
        "kube-apiserver etcd created at revision 7",
        "kube-apiserver deployment controller deployments web is new",
        "deployment controller kube-apiserver create replicasets web-1",
        "kube-apiserver replicaset controller replicasets web-1 is new",
        "replicaset controller kube-apiserver create pods web-1-a",
        "kube-apiserver kube-scheduler pods web-1-a is new",
        "kube-scheduler kube-apiserver create pods/binding web-1-a",
        "kube-apiserver kubelet worker1 pods web-1-a has a node",
        "kubelet worker1 kube-apiserver patch pods/status web-1-a",
    ]
    assert steps[-1]["time"] == "+2 s"


def test_the_sequence_picture_grows_step_by_step() -> None:
    """At a position only the steps up to it are drawn; the text numbers them."""
    actors, steps = way.steps(AUDIT)
    whole, part = pictures.sequence(actors, steps), pictures.sequence(actors, steps, 2)
    ET.fromstring(whole)
    ET.fromstring(part)
    assert "11. " in whole
    assert "4. " not in part
    assert pictures.sequence_text(steps).startswith("  1.")
    ET.fromstring(pictures.sequence(*way.steps([])))


def test_a_pod_that_goes_sets_its_owners_controller_to_work() -> None:
    """The replicaset controller makes a Pod because another of the same ReplicaSet is to go; another's does not
    matter."""
    gone = [event("kubernetes-admin", "kubectl/v1.36", "delete", "pods", name, 0) for name in ("web-1-a", "db-1-x")]
    _, steps = way.steps([*gone, event(SA + "replicaset-controller", "", "create", "pods", "web-1-b", 0)])
    assert [step["text"] for step in steps][-2:] == ["pods web-1-a is to go", "create pods web-1-b"]


def test_a_refused_request_shows_its_code() -> None:
    """A refusal is drawn with its code and sets nobody to work."""
    _, steps = way.steps([event("kubernetes-admin", "kubectl", "create", "pods", "web", 0, 403)])
    assert [step["text"] for step in steps][:2] == ["create pods web: 403", "authentication: admin"]


def waiting(reason: str) -> list[dict[str, Any]]:
    return [{"state": {"waiting": {"reason": reason}}}]


def ended(reason: str, code: int = 0) -> list[dict[str, Any]]:
    return [{"state": {"terminated": {"reason": reason, "exitCode": code}}}]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, "Running"),
        ({"phase": "Running", "containerStatuses": waiting("CrashLoopBackOff")}, "CrashLoopBackOff"),
        ({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}, {"state": {}}]}, "Init:0/2"),
        ({"phase": "Pending", "initContainerStatuses": ended("Error", 1)}, "Init:Error"),
        ({"phase": "Succeeded", "containerStatuses": ended("Completed")}, "Completed"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
    ],
)
def test_a_pods_one_word(status: dict[str, Any], expected: str) -> None:
    """The word is the one that kubectl prints under STATUS."""
    assert pod_status({"metadata": {}, "status": status}) == expected


def test_times_are_told_shortly() -> None:
    """Seconds, then minutes, then hours."""
    assert [elapsed(s) for s in (0, 12.9, 185, 7200)] == ["+0 s", "+12 s", "+3:05", "+2:00:00"]
