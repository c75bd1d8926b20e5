"""kube-scheduler: takes Pods without a node from the queue, one at a time, and binds each to the best node.

Stands for pkg/scheduler's Scheduler with its event handlers. Promises: one Pod a turn of the loop, the highest
priority first; a Pod counts on its node from the moment it is chosen; what cannot be scheduled gets the condition
PodScheduled=False and a FailedScheduling event with the real scheduler's words. Left out: several schedulers
racing for one Pod beyond what the apiserver's conflict on binding settles.
"""

import functools
from collections.abc import Sequence

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.client import Client, Recorder
from k8s_core.limits import SCHEDULER_INITIAL_BACKOFF, SCHEDULER_MAX_BACKOFF
from k8s_core.scheduler import plugins
from k8s_core.scheduler.cache import Cache, PodInfo
from k8s_core.scheduler.decisions import Decision, Decisions
from k8s_core.scheduler.framework import FitError, Framework, NoNodesError, Result
from k8s_core.scheduler.plugin import Event, Handle, Plugin, Status
from k8s_core.scheduler.queue import Queued, SchedulingQueue

NOT_FINISHED = "status.phase!=Succeeded,status.phase!=Failed"
WATCHED = {  # what plugins look up, and the kind whose changes Pods may wait for
    "services": "",
    "namespaces": "",
    "replicationcontrollers": "",
    "replicasets.apps": "",
    "statefulsets.apps": "",
    "poddisruptionbudgets.policy": "",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "storageclasses.storage.k8s.io": "StorageClass",
    "csinodes.storage.k8s.io": "",
}
EXPECTATION_SINCE = (1, 35)
NOTE_LENGTH_LIMIT = 1024  # of an events.k8s.io note


class Scheduler:
    """The scheduler of one cluster. `profiles` are KubeSchedulerProfiles; the default is the default one.

    `extra` are plugin classes beside the built-in ones, named by profiles or run by the default one. `random_ties`
    breaks ties by the seed, as the documentation has it; kube-scheduler 1.36 draws its random number only when there
    are extenders, and without them takes the top of its heap.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str = "default-scheduler",
        profiles: Sequence[Object] = (),
        version: str = "1.36",
        extra: Sequence[type[Plugin]] = (),
        random_ties: bool = True,
    ):
        self.client, self.loop, self.name = client, client.loop, name
        self.profiles: list[Object] = []
        self.configure(profiles or ({},))
        self.version, self.extra, self.random_ties = version, extra, random_ties
        self.expects = tuple(map(int, version.split(".")[:2])) >= EXPECTATION_SINCE
        """Whether a Pod that waits for its volumes on a node is nominated to it (NominatedNodeNameForExpectation)."""
        self.decisions = Decisions()
        self.frameworks: dict[str, Framework] = {}
        self.recorders: dict[str, Recorder] = {}
        self.cache: Cache
        self.queue: SchedulingQueue
        self.nominated: dict[str, dict[str, PodInfo]] = {}
        self._scheduled = False
        self.running = False

    def configure(self, profiles: Sequence[Object]) -> None:
        """Other profiles, from the next start on (configuration.py reads them from kube-scheduler's file)."""
        self.profiles = [{"schedulerName": self.name, **profile} for profile in profiles]

    # --- life -----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Watch nodes and Pods and begin, knowing nothing from an earlier life."""
        self.running = True
        self.cache = Cache()
        random = self.loop.random.randrange if self.random_ties else None
        handle = Handle(self.cache, self.client, random_index=random)
        self.nominated = handle.nominated
        self.frameworks.clear()
        for profile in self.profiles:
            framework = plugins.build(handle, profile, version=self.version, extra=self.extra)
            self.frameworks[framework.name] = framework
            self.recorders[framework.name] = self.client.recorder(framework.name, new_style=True)
        first = self.profiles[0]
        backoff = (
            float(first.get("podInitialBackoffSeconds", SCHEDULER_INITIAL_BACKOFF)),
            float(first.get("podMaxBackoffSeconds", SCHEDULER_MAX_BACKOFF)),
        )
        self.queue = SchedulingQueue(
            self.loop, admit=self._admit, helps=self._helps, on_ready=self._wake, backoff=backoff
        )
        for resource, kind in WATCHED.items():
            informer = self.client.informer(resource)
            if kind:
                changed = functools.partial(self._changed, f"{kind}/Change")
                informer.on(functools.partial(changed, None), changed)
        self.client.informer("nodes").on(self._node_added, self._node_updated, self._node_deleted)
        self.client.informer("pods", fields=NOT_FINISHED).on(self._pod_added, self._pod_updated, self._pod_deleted)

    def stop(self) -> None:
        """Forget everything and stop watching."""
        if not self.running:
            return
        self.running = False
        self.queue.stop()
        self.client.stop()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self.running:
            return
        queued = self.queue.pop()
        if queued is not None:
            self._wake()
            self.schedule_one(queued)

    # --- one Pod --------------------------------------------------------------------------------------------
    def schedule_one(self, queued: Queued) -> None:
        """One scheduling cycle and, if it finds a node, the binding cycle."""
        pod = queued.pod
        if pod.terminating or pod.uid in self.cache.pods:
            self.queue.done(pod.uid)
            if pod.terminating:
                note = f"skip schedule deleting pod: {pod.key}"
                recorder = self.recorders[self._scheduler_of(pod)]
                recorder.event(pod.pod, "Warning", "FailedScheduling", note, action="Scheduling")
            return
        try:
            result = self.frameworks[self._scheduler_of(pod)].schedule(pod)
        except FitError as error:
            found = error.diagnosis
            self._record(pod, filtered=found.nodes, message=str(error), nominated=error.nominate or "")
            self.queue.give_back(queued, found.plugins)
            self._failed(pod, "Unschedulable", str(error), error.nominate)
        except NoNodesError as error:
            self._record(pod, message=str(error))
            self.queue.give_back(queued, set())
            self._failed(pod, "Unschedulable", str(error), "")
        else:
            self._record_result(pod, result)
            self._bind(queued, result.node)

    def _bind(self, queued: Queued, node: str) -> None:
        pod = queued.pod
        waiting = self.frameworks[self._scheduler_of(pod)].pre_bind(pod, node)
        if waiting:
            self.queue.give_back(queued, waiting)
            if self.expects:
                self._nominate(pod, node)
                if (pod.pod.get("status") or {}).get("nominatedNodeName") != node:
                    self._update_status(pod, {"nominatedNodeName": node})
            return
        self.cache.add_pod(pod, node, assumed=True)
        self._nominate(pod, "")
        binding: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            self.client.create_sub("pods", pod.name, pod.namespace, "binding", binding)
        except StatusError as error:
            self.cache.remove_pod(pod.uid)
            self.queue.notify(Event("AssignedPod/Delete", pod))
            self.queue.give_back(queued, set(), error=True)
            self._failed(pod, "SchedulerError", f"binding rejected: {error.message}", "")
            return
        self.queue.done(pod.uid)
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self.recorders[self._scheduler_of(pod)].event(pod.pod, "Normal", "Scheduled", message, action="Binding")

    def _failed(self, pod: PodInfo, reason: str, message: str, nominate: str | None) -> None:
        if nominate is not None:
            self._nominate(pod, nominate)
        note = message if len(message) <= NOTE_LENGTH_LIMIT else message[: NOTE_LENGTH_LIMIT - 4] + " ..."
        recorder = self.recorders[self._scheduler_of(pod)]
        recorder.event(pod.pod, "Warning", "FailedScheduling", note, action="Scheduling")
        status = pod.pod.get("status") or {}
        change: Object = {}
        if nominate is not None and nominate != status.get("nominatedNodeName", ""):
            change["nominatedNodeName"] = nominate or None
        condition: Object = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if "generation" in pod.pod["metadata"]:
            condition["observedGeneration"] = pod.pod["metadata"]["generation"]
        known: Object = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
        if any(known.get(key) != value for key, value in condition.items()):
            since = known.get("lastTransitionTime") if known.get("status") == "False" else None
            condition |= {"lastProbeTime": None, "lastTransitionTime": since or self.loop.timestamp()}
            change["conditions"] = [condition]
        if change:
            self._update_status(pod, change)

    def _update_status(self, pod: PodInfo, change: Object) -> None:
        patch = {"metadata": {"uid": pod.uid}, "status": change}
        try:
            self.client.patch("pods", pod.name, pod.namespace, patch, kind="strategic", subresource="status")
        except StatusError as error:
            self.loop.log(self.name, f"error updating pod {pod.key}: {error}")

    def _record(
        self, pod: PodInfo, *, filtered: dict[str, Status] | None = None, message: str, nominated: str = ""
    ) -> None:
        self.decisions.append(
            Decision(pod, self.loop.timestamp(), filtered=filtered, message=message, nominated=nominated)
        )

    def _record_result(self, pod: PodInfo, result: Result) -> None:
        self.decisions.append(
            Decision(
                pod,
                self.loop.timestamp(),
                chosen=result.node,
                feasible=result.feasible,
                filtered=result.filtered,
                table=result.table,
                ties=result.ties,
            )
        )

    # --- what the queue asks --------------------------------------------------------------------------------
    def _scheduler_of(self, pod: PodInfo) -> str:
        return str(pod.spec.get("schedulerName") or "default-scheduler")

    def _admit(self, queued: Queued) -> bool:
        status = self.frameworks[self._scheduler_of(queued.pod)].pre_enqueue(queued.pod)
        if status is None:
            return True
        queued.blamed = {status.plugin}
        return False

    def _helps(self, event: Event, pod: PodInfo, blamed: set[str]) -> bool:
        return self.frameworks[self._scheduler_of(pod)].helps(event, pod, blamed)

    def _nominate(self, pod: PodInfo, node: str) -> None:
        for name, waiting in list(self.nominated.items()):
            if waiting.pop(pod.uid, None) is not None and not waiting:
                del self.nominated[name]
        if node:
            self.nominated.setdefault(node, {})[pod.uid] = pod

    # --- what informers tell --------------------------------------------------------------------------------
    def _ours(self, pod: Object) -> bool:
        return (pod["spec"].get("schedulerName") or "default-scheduler") in self.frameworks

    def _pod_added(self, obj: Object) -> None:
        node = obj["spec"].get("nodeName")
        if node:
            pod = PodInfo(obj)
            self.cache.add_pod(pod, node)
            self.queue.notify(Event("AssignedPod/Add", None, pod))
        elif self._ours(obj):
            pod = PodInfo(obj)
            self._nominate(pod, (obj.get("status") or {}).get("nominatedNodeName", ""))
            self.queue.add(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        uid = new["metadata"]["uid"]
        if old["metadata"]["uid"] != uid:  # deleted and made again while nobody watched
            self._pod_deleted(old)
            self._pod_added(new)
            return
        node = new["spec"].get("nodeName")
        if not node:
            if uid in self.cache.assumed or not self._ours(new):
                return
            pod = PodInfo(new)
            self._nominate(pod, (new.get("status") or {}).get("nominatedNodeName", ""))
            self.queue.update(pod)
            return
        known = self.cache.pods.get(uid)
        pod = PodInfo(new)
        self.cache.add_pod(pod, node)
        if not old["spec"].get("nodeName"):
            self._nominate(pod, "")
            self.queue.delete(uid)
            self.queue.notify(Event("AssignedPod/Add", None, pod))
        elif known is not None and self.queue.unschedulable:
            self.queue.notify(Event("AssignedPod/Update", known[0], pod))

    def _pod_deleted(self, obj: Object) -> None:
        pod = PodInfo(obj)
        self.queue.delete(pod.uid)
        self._nominate(pod, "")
        if pod.uid in self.cache.pods:
            self.cache.remove_pod(pod.uid)
            self.queue.notify(Event("AssignedPod/Delete", pod))

    def _changed(self, kind: str, old: Object | None, new: Object) -> None:
        self.queue.notify(Event(kind, old, new))

    def _node_added(self, node: Object) -> None:
        self.cache.set_node(node)
        self.queue.notify(Event("Node/Add", None, node))

    def _node_updated(self, old: Object, new: Object) -> None:
        if _scheduling_properties(old) == _scheduling_properties(new):
            return
        self.cache.set_node(new)
        self.queue.notify(Event("Node/Update", old, new))

    def _node_deleted(self, node: Object) -> None:
        self.cache.remove_node(node["metadata"]["name"])
        self.queue.notify(Event("Node/Delete", node))


def _scheduling_properties(node: Object) -> tuple[object, ...]:
    """All of a node that plugins look at; heartbeats change none of it."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return (
        node["metadata"].get("labels"),
        spec.get("taints"),
        spec.get("unschedulable"),
        status.get("allocatable"),
        status.get("images"),
    )
