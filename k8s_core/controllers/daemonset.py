"""The DaemonSet controller: one Pod on every node that may run it.

Promises: a Pod for each node that its template's affinity and tolerations allow (made so that the scheduler can only
bind it there), none elsewhere; failed ones replaced with back-off; rolling updates within maxUnavailable or maxSurge,
OnDelete on request; revisions.
Stands for pkg/controller/daemon.
"""

from k8s_core.api import Object
from k8s_core.api.placement import suits, untolerated
from k8s_core.api.selectors import from_label_selector
from k8s_core.client.informer import key_of, split_key
from k8s_core.controllers import history
from k8s_core.controllers import nodes as nodeutil
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    controller_of,
    controller_uid,
    drop_empty,
    is_deleting,
    with_status,
)
from k8s_core.controllers.deployment_util import scaled
from k8s_core.controllers.expectations import Expectations
from k8s_core.limits import DAEMON_BURST_REPLICAS, DAEMON_FAILED_BACKOFF

SETS = "daemonsets.apps"
# Tolerations every daemon has, so that it runs where others may not: key and effect.
TOLERATED = (
    (nodeutil.NOT_READY, "NoExecute"),
    (nodeutil.UNREACHABLE, "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    (nodeutil.UNSCHEDULABLE, "NoSchedule"),
)
HOST_NETWORK_TOLERATED = (("node.kubernetes.io/network-unavailable", "NoSchedule"),)


class DaemonSetController(Controller):
    name = "daemonset-controller"
    aliases = ("daemonset",)
    account = "daemon-set-controller"
    component = "daemonset-controller"

    def setup(self) -> None:
        self.expectations = Expectations(self.loop)
        self.pod_control = podutil.PodControl(self.client, self.recorder, self.expectations)
        self.failures: dict[tuple[str, str], tuple[float, float]] = {}
        """By DaemonSet and node: how long to wait with a replacement, and since when."""
        self.sets = self.informer(SETS, changed=self.enqueue)
        self.nodes = self.informer("nodes", self.node_changed, self.node_updated, self.node_changed)
        self.pods = podutil.watch(self, "DaemonSet", self.pod_added, self.pod_updated, self.pod_deleted)
        self.history = history.History(self, SETS)

    # --- what wakes it --------------------------------------------------------------------------------------
    def wake(self, daemon: Object) -> None:
        self.enqueue_batched(key_of(daemon), len(self.nodes.items))

    def node_changed(self, node: Object) -> None:
        for each in self.sets.list():
            self.wake(each)

    def node_updated(self, old: Object, new: Object) -> None:
        """Heartbeats are none of our business; labels and taints are."""
        was, now = ((node["metadata"].get("labels"), node["spec"]) for node in (old, new))
        if was != now:
            self.node_changed(new)

    def owner_of(self, pod: Object) -> Object | None:
        return podutil.owner_in(self.sets, "DaemonSet", pod)

    def pod_added(self, pod: Object) -> None:
        if is_deleting(pod):
            self.pod_deleted(pod)
        elif owner := self.owner_of(pod):
            self.expectations.creation_observed(key_of(owner))
            self.wake(owner)
        elif controller_of(pod) is None:
            self.wake_matching(pod)

    def wake_matching(self, pod: Object) -> None:
        labels = pod["metadata"].get("labels") or {}
        for each in self.sets.list(pod["metadata"]["namespace"]):
            if labels and from_label_selector(each["spec"]["selector"]).matches(labels):
                self.enqueue(each)

    def pod_updated(self, old: Object, new: Object) -> None:
        if is_deleting(new):
            self.pod_deleted(new)
        if controller_uid(old) != controller_uid(new) and (former := self.owner_of(old)):
            self.wake(former)
        seen = [(podutil.seen_by_owner(pod), pod["spec"].get("nodeName")) for pod in (old, new)]
        if owner := self.owner_of(new):
            if seen[0] != seen[1]:
                self.wake(owner)
        elif controller_of(new) is None and old["metadata"].get("labels") != new["metadata"].get("labels"):
            self.wake_matching(new)

    def pod_deleted(self, pod: Object) -> None:
        if owner := self.owner_of(pod):
            self.expectations.deletion_observed(key_of(owner), pod["metadata"]["uid"])
            self.wake(owner)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        daemon = self.sets.get(name, namespace)
        if daemon is None:
            self.expectations.forget(key)
            return
        if is_deleting(daemon):
            return
        old = daemon.get("status") or {}
        labels = (daemon["spec"]["template"].get("metadata") or {}).get("labels") or {}
        revision, revisions, collisions = self.history.current(
            daemon, daemon["spec"]["template"], old.get("collisionCount"), labels
        )
        digest = history.hash_of(revision)
        pods = self.pods_by_node(daemon)
        if self.expectations.satisfied(key):
            self.place(key, daemon, pods, digest)
            if self.expectations.satisfied(key) and strategy(daemon) == "RollingUpdate":
                self.roll(key, daemon, pods, digest)
        live = {f"{name}-{history_hash(pod)}" for each in pods.values() for pod in each}
        self.history.truncate(daemon, revisions, {*live, revision["metadata"]["name"]})
        self.update_status(daemon, self.status(daemon, pods, digest, collisions))
        self.wake_when_available(key, daemon, pods)

    def pods_by_node(self, daemon: Object) -> dict[str, list[Object]]:
        """The daemon's Pods by the node that they are on, or are meant for."""
        selector = from_label_selector(daemon["spec"]["selector"])
        found: dict[str, list[Object]] = {}
        for pod in podutil.claim(self.client, "pods", daemon, SETS, podutil.claimable(self.pods, daemon), selector):
            found.setdefault(target_node(pod), []).append(pod)
        return found

    def place(self, key: str, daemon: Object, pods: dict[str, list[Object]], digest: str) -> None:
        """Pods where one is missing, none where there should be none, at most one (two in a surge) elsewhere."""
        missing: list[str] = []
        surplus: list[Object] = []
        for node in self.nodes.list():
            name = node["metadata"]["name"]
            should_run, may_stay = fits(daemon, node)
            here = pods.get(name, [])
            if should_run and not here:
                missing.append(name)
            elif not may_stay:
                surplus += [pod for pod in here if not is_deleting(pod)]
            else:
                surplus += self.surplus_on(key, daemon, name, here, digest)
        known = {node["metadata"]["name"] for node in self.nodes.list()}
        gone = [pod for name, each in pods.items() if name not in known for pod in each]
        surplus += [pod for pod in gone if not is_deleting(pod) and not pod["spec"].get("nodeName")]
        self.act(key, daemon, missing[:DAEMON_BURST_REPLICAS], surplus[:DAEMON_BURST_REPLICAS], digest)

    def surplus_on(self, key: str, daemon: Object, node: str, pods: list[Object], digest: str) -> list[Object]:
        surplus, running = [], []
        for pod in pods:
            if is_deleting(pod):
                continue
            if podutil.phase(pod) == "Failed":
                if self.may_replace(key, node):
                    metadata = pod["metadata"]
                    message = (
                        f"Found failed daemon pod {metadata['namespace']}/{metadata['name']} on node {node}, "
                        "will try to kill it"
                    )
                    self.recorder.event(daemon, "Warning", "FailedDaemonPod", message)
                    surplus.append(pod)
            elif podutil.phase(pod) == "Succeeded":
                surplus.append(pod)
            else:
                running.append(pod)
        running.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        if len(running) > 1 and not max_surge(daemon, len(self.nodes.items)):
            surplus += running[1:]
        elif len(running) > 1:
            # In a surge the old Pod stays until the new one is available.
            new = [pod for pod in running if history_hash(pod) == digest]
            old = [pod for pod in running if history_hash(pod) != digest]
            minimum = daemon["spec"].get("minReadySeconds", 0)
            if new and podutil.available_in(new[0], minimum, self.loop.now) == 0:
                surplus += old
            surplus += [*new[1:], *old[1:]] if not new or not old else new[1:]
        return surplus

    def may_replace(self, key: str, node: str) -> bool:
        """Whether a failed Pod may be replaced now: at once, then no sooner than 1 s, 2 s, 4 s ... 15 min later."""
        first, ceiling = DAEMON_FAILED_BACKOFF
        now = self.loop.now
        delay, since = self.failures.get((key, node), (0.0, 0.0))
        if delay and now - since < delay:
            self.queue.add_after(key, since + delay - now)
            return False
        expired = now - since > 2 * ceiling
        self.failures[key, node] = (first if not delay or expired else min(2 * delay, ceiling), now)
        return True

    def act(self, key: str, daemon: Object, missing: list[str], surplus: list[Object], digest: str) -> None:
        """Make and delete what was found missing and too much."""
        if missing:
            self.expectations.expect_creations(key, len(missing))
        todo = iter(missing)

        def create() -> None:
            self.pod_control.create(daemon_pod(daemon, next(todo), digest), daemon)

        done, failure = podutil.slow_start(len(missing), create)
        self.expectations.creation_observed(key, len(missing) - done)
        if failure and podutil.namespace_terminating(failure):
            failure = None
        unkilled = self.pod_control.delete_all(key, surplus, daemon)[1]
        if failure := failure or unkilled:
            raise failure

    # --- rolling update -------------------------------------------------------------------------------------
    def roll(self, key: str, daemon: Object, pods: dict[str, list[Object]], digest: str) -> None:
        """Take old Pods away (or, in a surge, put new ones beside them) as far as the strategy allows."""
        nodes = self.nodes.list()
        wanted = [node["metadata"]["name"] for node in nodes if fits(daemon, node)[0]]
        surge, unavailable = max_surge(daemon, len(wanted)), max_unavailable(daemon, len(wanted))
        minimum = daemon["spec"].get("minReadySeconds", 0)

        def is_available(pod: Object) -> bool:
            return podutil.available_in(pod, minimum, self.loop.now) == 0

        budget = surge or unavailable
        broken: list[str] = []
        candidates: list[str] = []
        for name in wanted:
            running = [pod for pod in pods.get(name, []) if not is_deleting(pod)]
            new = [pod for pod in running if history_hash(pod) == digest]
            old = [pod for pod in running if history_hash(pod) != digest]
            if surge:
                if new and not is_available(new[0]):
                    budget -= 1
                elif old and not new:
                    (candidates if is_available(old[0]) else broken).append(name)
            elif old:
                if is_available(old[0]):
                    candidates.append(name)
                else:
                    broken.append(name)  # it serves nobody: replacing it costs nothing
                    budget -= 1
            elif not new or not is_available(new[0]):
                budget -= 1
        chosen = [*broken, *candidates[: max(0, budget)]]
        if surge:
            self.act(key, daemon, chosen, [], digest)
        else:
            old_pods = [pod for name in chosen for pod in pods[name] if not is_deleting(pod)]
            self.act(key, daemon, [], old_pods, digest)

    # --- status ---------------------------------------------------------------------------------------------
    def status(self, daemon: Object, pods: dict[str, list[Object]], digest: str, collisions: int | None) -> Object:
        desired = current = misplaced = ready = updated = available = 0
        minimum = daemon["spec"].get("minReadySeconds", 0)
        for node in self.nodes.list():
            should_run, _ = fits(daemon, node)
            here = sorted(pods.get(node["metadata"]["name"], []), key=lambda pod: pod["metadata"]["creationTimestamp"])
            if not should_run:
                misplaced += bool(here)
                continue
            desired += 1
            if not here:
                continue
            current += 1
            updated += any(history_hash(pod) == digest for pod in here)
            ready += any(podutil.is_ready(pod) for pod in here)
            available += any(podutil.available_in(pod, minimum, self.loop.now) == 0 for pod in here)
        optional = {
            "observedGeneration": daemon["metadata"].get("generation", 0),
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
            "collisionCount": collisions,
            "conditions": (daemon.get("status") or {}).get("conditions"),  # somebody else's
        }
        return drop_empty(optional) | {
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": current,
            "numberMisscheduled": misplaced,
            "numberReady": ready,
        }

    def update_status(self, daemon: Object, status: Object) -> None:
        if status != (daemon.get("status") or {}):
            self.client.update_status(SETS, with_status(daemon, status))

    def wake_when_available(self, key: str, daemon: Object, pods: dict[str, list[Object]]) -> None:
        if minimum := daemon["spec"].get("minReadySeconds", 0):
            waits = [podutil.available_in(pod, minimum, self.loop.now) for each in pods.values() for pod in each]
            if due := [each for each in waits if each]:
                self.queue.add_after(key, min(due))


# --- Pods and nodes -------------------------------------------------------------------------------------------------
def tolerations(spec: Object) -> list[Object]:
    """The template's tolerations and those that every daemon has."""
    pairs = TOLERATED + (HOST_NETWORK_TOLERATED if spec.get("hostNetwork") else ())
    own = spec.get("tolerations") or []
    extra = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in pairs]
    return [*own, *(each for each in extra if each not in own)]


def fits(daemon: Object, node: Object) -> tuple[bool, bool]:
    """Whether a Pod of the daemon should run on the node, and whether one that does may stay."""
    spec = daemon["spec"]["template"]["spec"]
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    if spec.get("nodeName") not in (None, "", name) or not suits(spec, labels, name):
        return False, False
    bears = tolerations(spec)
    taints = nodeutil.taints(node)
    if untolerated(taints, bears, ["NoSchedule", "NoExecute"]):
        return False, untolerated(taints, bears, ["NoExecute"]) is None
    return True, True


def daemon_pod(daemon: Object, node: str, digest: str) -> Object:
    """A Pod that the scheduler can bind to this node only."""
    pod = podutil.from_template(daemon["spec"]["template"], daemon)
    spec = pod["spec"]
    on_this = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    terms = (node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    bound = [{**term, **on_this} for term in terms] if terms else [on_this]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": bound}}
    labels = {**(pod["metadata"].get("labels") or {}), history.HASH_LABEL: digest}
    return {
        **pod,
        "metadata": {**pod["metadata"], "labels": labels},
        "spec": {
            **spec,
            "affinity": {**affinity, "nodeAffinity": {**node_affinity, **required}},
            "tolerations": tolerations(spec),
        },
    }


def target_node(pod: Object) -> str:
    """The node a daemon's Pod is on, or the one it was made for."""
    if name := pod["spec"].get("nodeName"):
        return str(name)
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            if each["key"] == "metadata.name" and each["operator"] == "In":
                return str(each["values"][0])
    return ""


def history_hash(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(history.HASH_LABEL, ""))


def strategy(daemon: Object) -> str:
    return str((daemon["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate"))


def rolling(daemon: Object) -> Object:
    return (daemon["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}


def max_surge(daemon: Object, nodes: int) -> int:
    return scaled(rolling(daemon).get("maxSurge", 0), nodes, round_up=True)


def max_unavailable(daemon: Object, nodes: int) -> int:
    found = scaled(rolling(daemon).get("maxUnavailable", 1), nodes, round_up=True)
    return found if found or max_surge(daemon, nodes) else 1
