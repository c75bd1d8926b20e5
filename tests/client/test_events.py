"""Events: counted when they happen again, told as one when there are many alike, silenced when there are too many."""

from typing import Any

from k8s_core.api import Object
from k8s_core.client.events import Recorder
from k8s_core.cluster import Cluster

POD: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default", "uid": "u"}}


def events(cluster: Cluster) -> list[tuple[int, str]]:
    found: list[Any] = cluster.client().list("events", "default")
    return [(each["count"], each["message"]) for each in found if each["involvedObject"].get("uid") == "u"]


def recorder(cluster: Cluster) -> Recorder:
    return cluster.client().recorder("kubelet", "worker1")


def test_the_same_event_is_counted(control_plane: Cluster) -> None:
    """One object, its count grows."""
    wrote = recorder(control_plane)
    for _ in range(3):
        wrote.event(POD, "Warning", "BackOff", "again")
    assert events(control_plane) == [(3, "again")]


def test_many_similar_events_are_told_as_one(control_plane: Cluster) -> None:
    """From the tenth message for one reason on; after ten quiet minutes they are told one by one again."""
    wrote = recorder(control_plane)
    for number in range(12):
        wrote.event(POD, "Normal", "Pulled", f"message {number}")
    found = sorted(events(control_plane))
    assert len(found) == 10 and (3, "(combined from similar events): message 11") in found
    control_plane.advance(601)
    wrote.event(POD, "Normal", "Pulled", "message 13")
    assert (1, "message 13") in events(control_plane)


def test_too_many_events_about_one_object_are_not_written(control_plane: Cluster) -> None:
    """Twenty-five at once, then one in five minutes."""
    wrote = recorder(control_plane)
    for _ in range(40):
        wrote.event(POD, "Warning", "BackOff", "again")
    assert events(control_plane) == [(25, "again")]
    control_plane.advance(301)
    for _ in range(5):
        wrote.event(POD, "Warning", "BackOff", "again")
    assert events(control_plane) == [(26, "again")]
