"""Kinds served in two versions are stored in one, and nothing is lost between."""

from k8s_core.api import Object, resources
from k8s_core.api.conversion import from_storage, to_storage
from k8s_core.api.resources import Resource

SERVED = resources.load()


def served(group: str, version: str, name: str) -> Resource:
    """A resource that is there."""
    found = SERVED.get(group, version, name)
    assert found is not None
    return found


def test_other_kinds_pass_through() -> None:
    """The very same object comes back."""
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {}}
    assert to_storage(pod, served("", "v1", "pods")) is pod and from_storage(pod, served("", "v1", "pods")) is pod


def test_events() -> None:
    """The new names of an Event's fields become the old ones and back."""
    event: Object = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a"}, "note": "hello",
        "regarding": {"kind": "Pod", "name": "p"}, "reportingController": "kubelet", "deprecatedCount": 3,
        "eventTime": "2026-01-01T00:00:00.000000Z", "reason": "Started",
    }  # fmt: skip
    stored = to_storage(event, served("events.k8s.io", "v1", "events"))
    assert stored["apiVersion"] == "v1" and stored["message"] == "hello" and stored["count"] == 3
    assert stored["involvedObject"]["name"] == "p" and stored["reportingComponent"] == "kubelet"
    assert stored["source"] == {} and stored["firstTimestamp"] is None
    back = from_storage(stored, served("events.k8s.io", "v1", "events"))
    assert {key: back[key] for key in event} == event
    assert from_storage(stored, served("", "v1", "events")) is stored


def hpa(version: str, spec: Object, status: Object | None = None) -> Object:
    """A HorizontalPodAutoscaler."""
    found: Object = {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
    }
    return {**found, "spec": spec, **({"status": status} if status else {})}


def test_cpu_utilization() -> None:
    """The one number of v1 is a metric of v2."""
    target = {"kind": "Deployment", "name": "web"}
    old = hpa("v1", {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 80},
              {"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 90})  # fmt: skip
    stored = to_storage(old, served("autoscaling", "v1", "horizontalpodautoscalers"))
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    assert from_storage(stored, served("autoscaling", "v1", "horizontalpodautoscalers"))["spec"] == old["spec"]


def test_what_v1_cannot_say_is_kept_in_annotations() -> None:
    """Memory, custom metrics, behaviour and conditions survive the way to v1 and back."""
    memory = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}}
    per_pod = {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}
    metrics = [
        {"type": "Resource", "resource": memory},
        {"type": "Pods", "pods": per_pod},
        {"type": "Object", "object": {"metric": {"name": "q"}, "describedObject": {"kind": "Service", "name": "s"},
                                      "target": {"type": "Value", "value": "5"}}},
        {"type": "External", "external": {"metric": {"name": "e", "selector": {"matchLabels": {"a": "b"}}},
                                          "target": {"type": "AverageValue", "averageValue": "1"}}},
    ]  # fmt: skip
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5, "metrics": metrics,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}  # fmt: skip
    status = {"currentReplicas": 1, "desiredReplicas": 1, "conditions": [{"type": "AbleToScale", "status": "True"}]}
    new = hpa("v2", spec, status)
    old = from_storage(new, served("autoscaling", "v1", "horizontalpodautoscalers"))
    assert "metrics" not in old["spec"] and "conditions" not in old["status"]
    assert set(old["metadata"]["annotations"]) == {
        f"autoscaling.alpha.kubernetes.io/{name}" for name in ("metrics", "behavior", "conditions")
    }
    assert to_storage(old, served("autoscaling", "v1", "horizontalpodautoscalers")) == new
