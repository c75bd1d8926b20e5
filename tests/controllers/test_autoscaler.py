"""What the autoscaler makes of metrics, which here are made up."""

from collections.abc import Iterator

import pytest
from controller_world import World

CONTROLLERS = ("horizontal-pod-autoscaler-controller", "deployment-controller", "replicaset-controller")


class Load:
    """A Deployment of two Pods that ask for 100m each, scaled to use 50 % of it; `milli` is what each Pod uses."""

    def __init__(self) -> None:
        self.world, self.milli = World(CONTROLLERS), 50
        labels = {"app": "web"}
        container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m"}}}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        self.world.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        target = {"type": "Utilization", "averageUtilization": 50}
        autoscaler = {
            "minReplicas": 1,
            "maxReplicas": 12,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
        self.world.create(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "web"},
                "spec": autoscaler,
            }
        )
        self.replicas_after(20)

    def replicas_after(self, seconds: float) -> int:
        self.world.load(self.milli)
        self.world.cluster.advance(seconds)
        return int(self.world.all("Deployment")[0]["spec"]["replicas"])

    def reasons(self) -> list[str]:
        status = self.world.all("HorizontalPodAutoscaler")[0]["status"]
        return [each["reason"] for each in status["conditions"]]


@pytest.fixture
def load() -> Iterator[Load]:
    made = Load()
    yield made
    made.world.stop()


def test_on_target_nothing_changes(load: Load) -> None:
    """Within a tenth of the target the number stays."""
    load.milli = 54
    assert load.replicas_after(60) == 2
    assert load.reasons() == ["ReadyForNewScale", "ValidMetricFound", "DesiredWithinRange"]
    status = load.world.all("HorizontalPodAutoscaler")[0]["status"]
    current = {"averageValue": "54m", "averageUtilization": 54}
    assert status["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]


def test_more_load_scales_up_in_proportion(load: Load) -> None:
    """Twice the target: twice the Pods, and an event that says why."""
    load.milli = 100
    assert load.replicas_after(15) == 4
    load.milli = 50
    assert load.replicas_after(30) == 4
    assert load.world.events("HorizontalPodAutoscaler")[-1] == (
        "SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target"
    )


def test_the_bounds_hold(load: Load) -> None:
    """However great the load: doubled at a time, or to four, then no more than maxReplicas."""
    load.milli = 1000
    assert load.replicas_after(15) == 4
    assert load.reasons()[2] == "ScaleUpLimit"
    assert load.replicas_after(60) == 12
    assert load.reasons()[2] == "TooManyReplicas"


def test_down_only_after_five_quiet_minutes(load: Load) -> None:
    """The highest recommendation of the window holds."""
    load.milli = 10
    assert load.replicas_after(240) == 2
    assert load.reasons()[0] == "ScaleDownStabilized"
    assert load.replicas_after(120) == 1
