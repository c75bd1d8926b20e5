"""Node pressure: who is evicted, what the node says, who is still taken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_world import World

from k8s_core.cluster import Cluster
from k8s_core.kubelet.config import Config, Threshold


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.cluster.stop()


def hog(world: World, name: str, behaviour: str, **more: Any) -> None:
    """A Pod that behaves so."""
    container = {"name": "c", "image": "nginx", **more.pop("container", {})}
    world.create(
        {
            "metadata": {"name": name, "annotations": {"simulator/behaviour": behaviour}},
            "spec": {"containers": [container], **more},
        }
    )


def node_condition(world: World, kind: str) -> tuple[str, str]:
    conditions = world.client.get("nodes", "n1")["status"]["conditions"]
    return next((c["status"], c["reason"]) for c in conditions if c["type"] == kind)


def test_the_greediest_is_evicted(world: World) -> None:
    """Not the one that stays within its request; the message says who used how much."""
    request = {"resources": {"requests": {"memory": "1Gi"}}}
    hog(world, "modest", "memory=1000Mi", container=request)
    hog(world, "greedy", "memory=2350Mi")
    world.loop.advance(25)
    assert (world.phase("modest"), world.phase("greedy")) == ("Running", "Failed")
    status = world.pod("greedy")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: ")
    assert "Container c was using " in status["message"] and ", request is 0, has larger" in status["message"]
    assert world.condition("greedy", "DisruptionTarget")["reason"] == "TerminationByKubelet"
    assert any(reason == "Evicted" for reason, _ in world.events("greedy"))
    assert node_condition(world, "MemoryPressure") == ("True", "KubeletHasInsufficientMemory")


def test_a_soft_threshold_waits(world: World) -> None:
    """The node says at once that it is short; after the grace period the Pod is evicted, with time to end."""
    soft = Threshold("memory.available", "50%", 60.0)
    world.kubelet.config = Config(eviction=(*Config().eviction, soft), eviction_max_pod_grace=20.0)
    deaf = {"image": "busybox", "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]}
    hog(world, "greedy", "memory=2350Mi", container=deaf)
    world.loop.advance(30)
    assert node_condition(world, "MemoryPressure") == ("True", "KubeletHasInsufficientMemory")
    assert world.phase("greedy") == "Running"
    world.loop.advance(45)
    assert world.state("greedy")["state"].keys() == {"running"}
    assert any(reason == "Evicted" for reason, _ in world.events("greedy"))
    world.loop.advance(25)
    assert world.phase("greedy") == "Failed"
    assert "Threshold quantity: 1920Mi, available: " in world.pod("greedy")["status"]["message"]


def test_a_soft_threshold_needs_its_grace_period() -> None:
    """The kubelet does not start without."""
    with Cluster() as cluster:
        cluster.settle()
        host = cluster.node("worker1")
        host.run("printf 'evictionSoft:\\n  memory.available: 1Gi\\n' >> /var/lib/kubelet/config.yaml")
        told = host.run("systemctl restart kubelet; journalctl -u kubelet --no-pager | grep run.go | tail -1").output
        assert "grace period must be specified for the soft eviction threshold memory.available" in told


def test_under_pressure_best_effort_pods_are_not_taken(world: World) -> None:
    """Those that asked for memory are; five minutes after the pressure all are."""
    hog(world, "greedy", "memory=3350Mi")
    world.loop.advance(15)
    hog(world, "late", "")
    hog(world, "burstable", "", container={"resources": {"requests": {"memory": "10Mi"}}})
    world.loop.advance(10)
    assert world.pod("late")["status"]["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert (world.phase("late"), world.phase("burstable")) == ("Failed", "Running")
    world.loop.advance(320)
    assert node_condition(world, "MemoryPressure") == ("False", "KubeletHasSufficientMemory")
    hog(world, "later", "")
    world.loop.advance(10)
    assert world.phase("later") == "Running"


def test_critical_pods_stay(world: World) -> None:
    """Whatever they use."""
    meta = {"name": "vital", "namespace": "kube-system", "annotations": {"simulator/behaviour": "memory=3350Mi"}}
    spec = {"priorityClassName": "system-node-critical", "containers": [{"name": "c", "image": "nginx"}]}
    world.create({"metadata": meta, "spec": spec})
    world.loop.advance(40)
    assert world.client.get("pods", "vital", "kube-system")["status"]["phase"] == "Running"


def test_lower_priority_goes_first(world: World) -> None:
    """Of two that use more than they asked for."""
    world.client.create(
        "priorityclasses.scheduling.k8s.io",
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000},
    )
    hog(world, "important", "memory=2000Mi", priorityClassName="high")
    hog(world, "other", "memory=1350Mi")
    world.loop.advance(15)
    assert (world.phase("important"), world.phase("other")) == ("Running", "Failed")


def test_a_full_disk(world: World) -> None:
    """DiskPressure; nothing can be written on the node, and no Pod is taken."""
    world.kubelet.disk_full = True
    world.loop.advance(15)
    assert node_condition(world, "DiskPressure") == ("True", "KubeletHasDiskPressure")
    hog(world, "late", "")
    world.loop.advance(5)
    assert world.pod("late")["status"]["message"] == "Pod was rejected: The node had condition: [DiskPressure]. "


def test_more_than_the_node_has_ends_the_biggest(world: World) -> None:
    """Faster than the kubelet looks: the kernel ends it."""
    hog(world, "giant", "memory=5Gi")
    world.loop.advance(5)
    assert world.state("giant")["lastState"]["terminated"]["reason"] == "OOMKilled"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "dd if=/dev/zero of=/data/f bs=1M count=3; sleep 100",
            'Usage of EmptyDir volume "v" exceeds the limit "2Mi". ',
        ),
        (
            "dd if=/dev/zero of=/tmp/f bs=1M count=3; sleep 100",
            'Container c exceeded its local ephemeral storage limit "2Mi". ',
        ),
        ("dd if=/dev/zero of=/data/f bs=1M count=1; sleep 100", ""),
    ],
)
def test_who_writes_too_much_is_evicted(world: World, what: str, message: str) -> None:
    """emptyDir's sizeLimit, and a container's limit of ephemeral-storage."""
    container = {
        "volumeMounts": [{"name": "v", "mountPath": "/data"}],
        "resources": {"limits": {"ephemeral-storage": "2Mi"}},
    }
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "2Mi"}}]
    script = f"dd if=/dev/zero {what}; sleep 100"
    world.run("writer", script, container=container, volumes=volumes, restartPolicy="Never")
    world.loop.advance(30)
    status = world.pod("writer")["status"]
    assert (status["phase"], status.get("message", "")) == ("Failed" if message else "Running", message)
