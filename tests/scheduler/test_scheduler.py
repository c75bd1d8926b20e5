"""The scheduler against a real apiserver, on nodes without kubelets: what it writes, and when it tries again."""

from collections.abc import Iterator
from typing import Any

import pytest
from cluster_on_paper import node, pod

from k8s_core.api import Object
from k8s_core.cluster import Cluster
from k8s_core.scheduler import Scheduler
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.plugin import Plugin, State


class Desk:
    """A cluster of nodes on paper, and short words for what a test does."""

    def __init__(self, nodes: dict[str, Object], seed: int = 0, profile: str = "bare"):
        self.cluster = Cluster(nodes=(), profile=profile, kubelets=False, seed=seed)
        self.cluster.loop.strict = True
        self.client = self.cluster.client()
        for name, short in nodes.items():
            made = self.client.create("nodes", node(name, short))
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            self.client.patch("nodes", name, "", {"status": {**made.get("status", {}), **ready}}, subresource="status")
        self.cluster.loop.run_ready()
        for name, short in nodes.items():  # without a kubelet nobody takes the not-ready taint away
            self.client.patch("nodes", name, "", {"spec": {"taints": short.get("taints")}})
        self.cluster.loop.run_ready()

    def create(self, name: str, **short: Any) -> Object:
        made = pod(name, short)
        for unwanted in ("uid", "generation"):
            made["metadata"].pop(unwanted)
        if "priority" in made["spec"]:
            level = made["spec"].pop("priority")
            made["spec"]["priorityClassName"] = f"p{level}"
        self.client.create("pods", made)
        self.cluster.loop.run_ready()
        return self.pod(name)

    def pod(self, name: str) -> Object:
        return self.client.get("pods", name, "default")

    def on(self, name: str) -> str:
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def events(self, name: str) -> list[tuple[str, str, str]]:
        return [
            (event["reason"], event["action"], event["message"])
            for event in self.client.list("events", "default")
            if event["involvedObject"]["name"] == name and event["reportingComponent"] == "default-scheduler"
        ]

    def do(self, *_: object) -> None:
        self.cluster.loop.run_ready()


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk({"a": {"cpu": 1}, "b": {"cpu": 1}})
    yield made
    made.cluster.stop()


def test_a_pod_is_bound_and_said_so(desk: Desk) -> None:
    """spec.nodeName, PodScheduled=True, and one event of the new kind."""
    made = desk.create("p", cpu="500m")
    where = made["spec"]["nodeName"]
    assert [c["status"] for c in made["status"]["conditions"] if c["type"] == "PodScheduled"] == ["True"]
    assert desk.events("p") == [("Scheduled", "Binding", f"Successfully assigned default/p to {where}")]
    decision = desk.cluster.scheduler.decisions[-1]
    assert (decision["chosen"], set(decision["total"])) == (where, {"a", "b"})


def test_a_pod_that_fits_nowhere_says_why_and_waits(desk: Desk) -> None:
    """The condition and the event carry the same words; a node that helps brings it back."""
    words = (
        "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    made = desk.create("p", cpu="2")
    (condition,) = made["status"]["conditions"]
    assert {key: condition[key] for key in ("type", "status", "reason", "message")} == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": words,
    }
    assert desk.events("p") == [("FailedScheduling", "Scheduling", words)]
    of_pod = desk.cluster.scheduler.decisions.of(made["metadata"]["uid"])
    assert of_pod[0]["filtered"]["a"] == {"plugin": "NodeResourcesFit", "reason": "Insufficient cpu"}
    desk.client.patch("nodes", "a", "", {"status": {"allocatable": {"cpu": "4"}}}, subresource="status")
    desk.do()
    assert desk.on("p") == "a"


def test_pods_count_from_the_moment_they_are_chosen(desk: Desk) -> None:
    """Three Pods of 600m on two nodes of one core: one has to wait until another goes."""
    for name in ("p", "q", "r"):
        desk.create(name, cpu="600m")
    assert [desk.on("p") == desk.on("q"), desk.on("r")] == [False, ""]
    desk.client.delete("pods", "p", "default", grace_seconds=0)
    desk.do()
    assert desk.on("r")


def test_a_pod_that_shrinks_makes_room(desk: Desk) -> None:
    """A running Pod that asks for less wakes the one that waits; one that is relabelled does not."""
    for name in ("p", "q"):
        desk.create(name, cpu="800m")
    desk.create("r", cpu="500m")
    before = len(desk.cluster.scheduler.decisions)
    desk.do(desk.client.patch("pods", "p", "default", {"metadata": {"labels": {"a": "b"}}}))
    assert len(desk.cluster.scheduler.decisions) == before
    smaller = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "300m"}}}]}}
    desk.do(desk.client.patch("pods", "p", "default", smaller, kind="strategic", subresource="resize"))
    assert desk.on("r") == desk.on("p")


def test_what_cannot_help_does_not_wake_a_pod(desk: Desk) -> None:
    """A Pod that waits for a label is not tried again because of a taint."""
    desk.create("p", nodeSelector={"disk": "ssd"})
    before = len(desk.cluster.scheduler.decisions)
    desk.do(desk.client.patch("nodes", "b", "", {"metadata": {"labels": {"other": "x"}}}))
    assert len(desk.cluster.scheduler.decisions) == before
    desk.do(desk.client.patch("nodes", "b", "", {"metadata": {"labels": {"disk": "ssd"}}}))
    assert desk.on("p") == "b"


def test_a_gate_keeps_a_pod_out_until_it_is_lifted(desk: Desk) -> None:
    """No attempt, no event; then it goes its way."""
    desk.create("p", schedulingGates=[{"name": "example.com/wait"}])
    assert desk.events("p") == []
    lift = [{"op": "remove", "path": "/spec/schedulingGates"}]
    desk.do(desk.client.patch("pods", "p", "default", lift, kind="json"))
    assert desk.on("p")


def test_pods_of_another_scheduler_are_left_alone(desk: Desk) -> None:
    """schedulerName is whose Pod it is."""
    desk.create("p", schedulerName="mine")
    assert desk.on("p") == ""
    assert desk.events("p") == []


def test_label_keys_become_part_of_the_selectors(desk: Desk) -> None:
    """The apiserver writes the Pod's own values of matchLabelKeys and mismatchLabelKeys where the scheduler looks."""
    term = {
        "labelSelector": {"matchLabels": {"app": "web"}},
        "topologyKey": "kubernetes.io/hostname",
        "matchLabelKeys": ["rev", "absent"],
        "mismatchLabelKeys": ["tenant"],
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["rev"],
    }
    affinity = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [term],
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
        }
    }
    labels = {"app": "web", "rev": "1", "tenant": "x"}
    rev = {"key": "rev", "operator": "In", "values": ["1"]}
    for name in ("first", "second"):
        made = desk.create(name, labels=labels, affinity=affinity, topologySpreadConstraints=[spread])["spec"]
        rules = made["affinity"]["podAntiAffinity"]
        found = [
            rules["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"],
            rules["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]["labelSelector"],
        ]
        tenant = {"key": "tenant", "operator": "NotIn", "values": ["x"]}
        assert [selector["matchExpressions"] for selector in found] == [[rev, tenant], [rev, tenant]]
        assert made["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"] == [rev]
    assert {desk.on("first"), desk.on("second")} == {"a", "b"}


def prioritize(desk: Desk) -> None:
    for level in (0, 1, 5):
        made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": f"p{level}"}}
        desk.client.create("priorityclasses.scheduling.k8s.io", {**made, "value": level})
    desk.do()


def test_the_more_important_pod_makes_room(desk: Desk) -> None:
    """It is nominated, the lesser Pod is told why it goes, and the room is kept until it has gone; once bound
    it is nominated no longer."""
    prioritize(desk)
    for name in ("low-1", "low-2"):
        desk.create(name, cpu="800m", priority=1)
    desk.create("high", cpu="800m", priority=5)
    nominated = desk.pod("high")["status"]["nominatedNodeName"]
    victim = next(name for name in ("low-1", "low-2") if desk.on(name) == nominated)
    gone = desk.pod(victim)
    assert "deletionTimestamp" in gone["metadata"]
    told = next(c for c in gone["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert told["reason"] == "PreemptionByScheduler"
    assert told["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    uid = desk.pod("high")["metadata"]["uid"]
    assert ("Preempted", "Preempting", f"Preempted by pod {uid} on node {nominated}") in desk.events(victim)
    desk.create("sneaky", cpu="200m", priority=1)
    desk.client.delete("pods", victim, "default", grace_seconds=0)
    desk.create("sneaky-2", cpu="800m", priority=1)
    assert desk.on("high") == nominated
    assert "nominatedNodeName" not in desk.pod("high")["status"]
    assert desk.on("sneaky-2") == ""


def test_a_disruption_budget_decides_between_equals(desk: Desk) -> None:
    """The victim is the one whose eviction breaks no budget."""
    prioritize(desk)
    for name in ("low-1", "low-2"):
        desk.create(name, cpu="800m", priority=1, labels={"app": name})
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "low-1"}}},
    }
    desk.do(desk.client.create("poddisruptionbudgets.policy", budget))
    desk.create("high", cpu="800m", priority=5)
    assert desk.pod("high")["status"]["nominatedNodeName"] == desk.on("low-2")


def test_who_preempts_on_a_node_takes_it_from_the_nominated(desk: Desk) -> None:
    """A Pod of lower priority that waits for room there is nominated no longer and looks elsewhere."""
    prioritize(desk)
    desk.client.patch("nodes", "b", "", {"spec": {"unschedulable": True}})
    desk.create("low", cpu="800m", priority=0)
    desk.create("middle", cpu="800m", priority=1)
    assert desk.pod("middle")["status"]["nominatedNodeName"] == "a"
    desk.create("high", cpu="800m", priority=5)
    assert desk.pod("high")["status"]["nominatedNodeName"] == "a"
    assert "nominatedNodeName" not in desk.pod("middle")["status"]
    desk.do(desk.client.delete("pods", "low", "default", grace_seconds=0))
    assert (desk.on("high"), desk.on("middle")) == ("a", "")


def test_who_never_preempts_goes_first_all_the_same(desk: Desk) -> None:
    """preemptionPolicy Never: no victim, and the next room is still its own before Pods of lower priority."""
    prioritize(desk)
    patient = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p9"}}
    desk.client.create("priorityclasses.scheduling.k8s.io", {**patient, "value": 9, "preemptionPolicy": "Never"})
    for name in ("low-1", "low-2"):
        desk.create(name, cpu="800m", priority=1)
    desk.create("early", cpu="800m", priority=1)
    made = desk.create("patient", cpu="800m", priority=9)
    assert made["spec"]["preemptionPolicy"] == "Never"
    assert "nominatedNodeName" not in made["status"]
    assert all("deletionTimestamp" not in desk.pod(name)["metadata"] for name in ("low-1", "low-2"))
    assert desk.events("patient")[-1][2].endswith("preemption: not eligible due to preemptionPolicy=Never.")
    desk.cluster.advance(20)
    where = desk.on("low-1")
    desk.do(desk.client.delete("pods", "low-1", "default", grace_seconds=0))
    assert (desk.on("patient"), desk.on("early")) == (where, "")


def test_a_pod_that_is_being_deleted_is_not_scheduled(desk: Desk) -> None:
    """It waits for its finalizers; when there is room at last it only says so."""
    desk.create("p", cpu="2")
    desk.client.patch("pods", "p", "default", {"metadata": {"finalizers": ["example.com/wait"]}})
    desk.do(desk.client.delete("pods", "p", "default"))
    desk.client.patch("nodes", "a", "", {"status": {"allocatable": {"cpu": "4"}}}, subresource="status")
    desk.do()
    assert desk.on("p") == ""
    assert desk.events("p")[-1] == ("FailedScheduling", "Scheduling", "skip schedule deleting pod: default/p")


def test_without_nodes_nobody_is_to_blame() -> None:
    """The message of an empty cluster; the first node ends the wait."""
    desk = Desk({})
    made = desk.create("p")
    assert made["status"]["conditions"][0]["message"] == "no nodes available to schedule pods"
    desk.client.create("nodes", node("a", {}))
    desk.do()
    desk.do(desk.client.patch("nodes", "a", "", {"spec": {"taints": None}}))
    assert desk.on("p") == "a"
    desk.cluster.stop()


def test_the_same_seed_chooses_the_same_nodes() -> None:
    """Ties are broken by the seed and by nothing else."""

    def history(seed: int) -> list[str]:
        desk = Desk({name: {} for name in "abcde"}, seed, "kubeadm")
        found = [desk.create(f"p{i}")["spec"]["nodeName"] for i in range(8)]
        desk.cluster.stop()
        return found

    assert history(1) == history(1)
    assert len({tuple(history(seed)) for seed in (1, 2, 3)}) > 1


def test_a_new_scheduler_starts_from_what_it_sees(desk: Desk) -> None:
    """Stopped, nothing is scheduled; started again, Pods that run are counted before those that wait."""
    desk.create("p", cpu="600m")
    desk.cluster.scheduler.stop()
    desk.create("q", cpu="600m")
    desk.create("r", cpu="600m")
    assert (desk.on("q"), desk.on("r")) == ("", "")
    desk.cluster.scheduler.start()
    desk.do()
    assert sorted([bool(desk.on("q")), bool(desk.on("r"))]) == [False, True]
    assert desk.on("p") not in (desk.on("q"), desk.on("r"))


def test_a_claim_that_waits_for_its_consumer_is_told_the_node_first(desk: Desk) -> None:
    """No claim, no node; then the claim gets its node, and the Pod follows when the claim is bound."""
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    made = desk.create("p", volumes=[volume], nodeSelector={"kubernetes.io/hostname": "b"})
    assert 'persistentvolumeclaim "data" not found' in made["status"]["conditions"][0]["message"]
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast"},
        "provisioner": "example.com/disks",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    desk.client.create("storageclasses.storage.k8s.io", storage_class)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {
            "storageClassName": "fast",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    desk.do(desk.client.create("persistentvolumeclaims", claim))
    annotations = desk.client.get("persistentvolumeclaims", "data", "default")["metadata"]["annotations"]
    assert annotations["volume.kubernetes.io/selected-node"] == "b"
    assert (desk.on("p"), desk.pod("p")["status"]["nominatedNodeName"]) == ("", "b")
    where = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}}
    details = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    desk.client.create("persistentvolumes", {**where, "spec": {**details, "storageClassName": "fast"}})
    desk.client.patch("persistentvolumeclaims", "data", "default", {"spec": {"volumeName": "pv"}})
    bound = {"status": {"phase": "Bound"}}
    desk.do(desk.client.patch("persistentvolumeclaims", "data", "default", bound, subresource="status"))
    assert desk.on("p") == "b"
    assert "nominatedNodeName" not in desk.pod("p")["status"]


class LastLetter(Plugin):
    """A learner's plugin: the later in the alphabet, the better."""

    name = "LastLetter"

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        return ord(node.name[0]) - ord("a")


def test_a_plugin_written_in_python_scores_beside_the_others(desk: Desk) -> None:
    """A second scheduler with a profile of its own weighs a learner's plugin over all others."""
    plugins = {"multiPoint": {"enabled": [{"name": "LastLetter", "weight": 1000}]}}
    client = desk.cluster.client("system:kube-scheduler")
    mine = Scheduler(client, name="mine", profiles=[{"plugins": plugins}], extra=[LastLetter])
    mine.start()
    for index in range(4):
        assert desk.create(f"p{index}", schedulerName="mine")["spec"]["nodeName"] == "b"
    assert mine.decisions[-1]["scores"]["b"]["LastLetter"] == {"raw": 1, "normalized": 1, "weighted": 1000}
    mine.stop()


def test_a_pod_that_waits_long_is_told_of_in_a_series(desk: Desk) -> None:
    """Tried again every five minutes with nothing changed, the event counts instead of being written anew."""
    desk.create("p", cpu="2", nodeSelector={"not": "here"})
    desk.cluster.advance("30m")
    events = [e for e in desk.client.list("events", "default") if e["involvedObject"]["name"] == "p"]
    assert events[-1]["series"]["count"] >= 3
