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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.settle()
        yield made


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            "evictionSoft: {memory.available: 1Gi}",
            "grace period must be specified for the soft eviction threshold memory.available",
        ),
        ("evictionHard: {disk.available: 1Gi}", "unsupported eviction signal disk.available"),
        ("evictionHard: {pid.available: '0'}", "eviction threshold pid.available must be positive: 0"),
        (
            "evictionHard: {nodefs.inodesFree: 101%}",
            "eviction percentage threshold nodefs.inodesFree must be <= 100%: 101%",
        ),
        (
            "evictionHard: {nodefs.inodesFree: -1%}",
            "eviction percentage threshold nodefs.inodesFree must be >= 0%: -1%",
        ),
    ],
)
def test_thresholds_that_make_no_sense(cluster: Cluster, told: str, why: str) -> None:
    """The kubelet does not start, and says why; mended, it does."""
    host, path = cluster.node("worker1"), "/var/lib/kubelet/config.yaml"
    host.run(f"cp {path} /root/kept; cat >> {path} <<'END'\n{told}\nEND")
    said = host.run("systemctl restart kubelet; journalctl -u kubelet --no-pager | grep run.go | tail -1").output
    assert f'"command failed" err="failed to run Kubelet: {why}"' in said
    host.run(f"cp /root/kept {path}; systemctl restart kubelet")
    assert host.run("systemctl is-active kubelet").output == "active\n"


def test_thresholds_as_they_are_configured(cluster: Cluster) -> None:
    """Who sets one hard threshold loses the other defaults, unless they are merged; 0% switches one off."""
    host, path = cluster.node("worker1"), "/var/lib/kubelet/config.yaml"
    told = "evictionHard: {pid.available: 10%, memory.available: 0%}\nevictionPressureTransitionPeriod: 30s"
    host.run(f"cp {path} /root/kept; cat >> {path} <<'END'\n{told}\nEND\nsystemctl restart kubelet")
    assert host.kubelet.config.eviction == (Threshold("pid.available", "10%"),)
    assert host.kubelet.config.eviction_transition == 30.0
    host.run(f"echo 'mergeDefaultEvictionSettings: true' >> {path}; systemctl restart kubelet")
    assert [each.signal for each in host.kubelet.config.eviction] == [
        "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree", "pid.available",
    ]  # fmt: skip
    host.run(f"cp /root/kept {path}; systemctl restart kubelet")


def test_no_process_numbers_left(cluster: Cluster) -> None:
    """With pid.available in evictionHard: the condition, its event, the taint; and back again."""
    client, host, path = cluster.client(), cluster.node("worker2"), "/var/lib/kubelet/config.yaml"
    host.run(f"cat >> {path} <<'END'\nevictionHard: {{pid.available: 10%}}\nEND\nsystemctl restart kubelet")
    cluster.faults.use_up_pids("worker2")
    cluster.advance(15)
    node = client.get("nodes", "worker2")
    (condition,) = (c for c in node["status"]["conditions"] if c["type"] == "PIDPressure")
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "True",
        "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available",
    )
    assert [(t["key"], t["effect"]) for t in node["spec"]["taints"]] == [
        ("node.kubernetes.io/pid-pressure", "NoSchedule")
    ]
    told = [e["message"] for e in client.list("events", "default") if e["involvedObject"]["name"] == "worker2"]
    assert "Node worker2 status is now: NodeHasInsufficientPID" in told
    assert "Attempting to reclaim pids" in told
    cluster.faults.use_up_pids("worker2", full=False)
    cluster.advance(320)
    assert "taints" not in client.get("nodes", "worker2")["spec"]


def test_no_inodes_left(cluster: Cluster) -> None:
    """Nothing new can be made on the node's disk though there is room; df shows it; the node says DiskPressure."""
    client, host = cluster.client(), cluster.node("worker1")
    assert host.run("df -i / | tail -1").output.split()[1:] == ["1310720", "81920", "1228800", "7%", "/"]
    cluster.faults.use_up_inodes("worker1")
    assert host.run("df -i / | tail -1").output.split()[2:] == ["1297613", "13107", "100%", "/"]
    assert "No space left on device" in host.run("touch /root/new").output
    assert host.run("echo there > /root/kept; cat /root/kept").output == "there\n"
    cluster.advance(15)
    node = client.get("nodes", "worker1")
    assert [t["key"] for t in node["spec"]["taints"]] == ["node.kubernetes.io/disk-pressure"]
    cluster.faults.use_up_inodes("worker1", full=False)
    assert host.run("touch /root/new; ls /root/new").output == "/root/new\n"
    cluster.advance(320)
    assert "taints" not in client.get("nodes", "worker1")["spec"]


PRESSED = [
    pytest.param(
        "nodefs.inodesFree", "5%", "files", ("300k", "1M"), "DiskPressure",
        "The node was low on resource: inodes. Threshold quantity: 64Ki, available: ", id="inodes",
    ),
    pytest.param(
        "imagefs.inodesFree", "2%", "files", ("300k", "1M"), "DiskPressure",
        "The node was low on resource: inodes. Threshold quantity: 26214, available: ", id="inodes for images",
    ),
    pytest.param(
        "imagefs.available", "15%", "disk", ("3Gi", "12Gi"), "DiskPressure",
        "The node was low on resource: ephemeral-storage. Threshold quantity: 3094383206, available: ",
        id="disk for images",
    ),
    pytest.param(
        "pid.available", "1000", "processes", ("9k", "20500"), "PIDPressure",
        "The node was low on resource: pids. Threshold quantity: 1000, available: ", id="process numbers",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("signal", "value", "word", "amounts", "pressure", "message"), PRESSED)
def test_who_takes_most_is_evicted(
    world: World, signal: str, value: str, word: str, amounts: tuple[str, str], pressure: str, message: str
) -> None:
    """Of each thing that a node can run short of; the rest stays and the pressure ends."""
    world.kubelet.config = Config(eviction=(Threshold(signal, value),), eviction_transition=20.0)
    for name, amount in zip(("modest", "greedy"), amounts, strict=True):
        hog(world, name, f"{word}={amount}")
    world.loop.advance(15)
    assert (world.phase("modest"), world.phase("greedy")) == ("Running", "Failed")
    assert node_condition(world, pressure)[0] == "True"
    told = world.pod("greedy")["status"]["message"]
    assert told.startswith(message)
    assert ("Container c was using 12582912Ki, request is 0" in told) == (word == "disk")
    world.delete("greedy")
    world.loop.advance(60)
    assert (world.phase("modest"), node_condition(world, pressure)[0]) == ("Running", "False")


def test_more_is_reclaimed_than_the_threshold(world: World) -> None:
    """evictionMinimumReclaim: one Pod would be enough for the threshold, but not for what shall be free then."""
    least = Threshold("nodefs.available", "10%", reclaim="5Gi")
    world.kubelet.config = Config(eviction=(least,))
    for name, amount in (("a", "5Gi"), ("b", "4Gi"), ("c", "5Gi")):
        hog(world, name, f"disk={amount}")
    world.loop.advance(60)
    assert [world.phase(name) for name in "abc"].count("Failed") == 2
    assert world.phase("b") == "Running"


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
    world.kubelet.runtime.used_up.add("disk")
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
