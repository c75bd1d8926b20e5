"""The kubelet of one node: registers it, keeps its lease, and gives every Pod bound to it a worker.

Stands for pkg/kubelet/kubelet.go. It has a client and a folder (the node's file system), nothing else. Stopping it
stops the agent only: containers go on, as on a real node, and `start` finds them again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.client.workqueue import WorkQueue
from k8s_core.kubelet import admission, network_files, node_files
from k8s_core.kubelet.addresses import Addresses
from k8s_core.kubelet.config import Config
from k8s_core.kubelet.container import Mount, Sandbox
from k8s_core.kubelet.eviction import CRITICAL_PRIORITY, EvictionManager
from k8s_core.kubelet.journal import Journal, klog, quoted
from k8s_core.kubelet.lookups import Lookups
from k8s_core.kubelet.node import NodeReporter
from k8s_core.kubelet.pod_worker import PodWorker
from k8s_core.kubelet.pod_writer import PodWriter
from k8s_core.kubelet.prober import Actions
from k8s_core.kubelet.references import References
from k8s_core.kubelet.runtime import Runtime
from k8s_core.kubelet.server import KubeletServer
from k8s_core.kubelet.static_pods import StaticPods, is_mirror
from k8s_core.kubelet.volumes import Volumes
from k8s_core.kubelet.wording import words
from k8s_core.limits import DNS_ADDRESS
from k8s_core.shell.process import Command
from k8s_core.shell.sockets import Fabric, FlatFabric, NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.client import Client, Informer
    from k8s_core.clock import Timer


class Kubelet:
    """One node's agent.

    `kubeadm=False` is a hollow node: the fake runtime of Kubernetes' scale tests, where every image exists and
    nothing ends by itself. `fabric` connects the Pods of all nodes; `programs` are commands beyond an
    image's own, by the image's repository ("registry.k8s.io/etcd").
    """

    def __init__(
        self,
        client: "Client",
        name: str,
        address: str,
        node_dir: Path,
        *,
        kubeadm: bool = True,
        version: str = "v1.36.2",
        fabric: Fabric | None = None,
        programs: Mapping[str, Mapping[str, Command]] | None = None,
        labels: dict[str, str] | None = None,
        taints: list[Object] | None = None,
        cluster_dns: str = DNS_ADDRESS,
    ) -> None:
        self.client, self.name, self.address, self.node_dir = client, name, address, node_dir
        self.fabric, self.cluster_dns = fabric or FlatFabric(), cluster_dns
        self.runtime = Runtime(client.loop, self.fabric, fake=not kubeadm, extra=programs)
        self.network = NetworkNamespace(
            address,
            self.fabric,
            hostname=name,
            node=name,
            resolv_conf=lambda: network_files.node_resolv_conf(self.fs),
        )
        self.fabric.attach(self.network)
        self.fs = node_files.build(node_dir, self.runtime)
        self.journal = Journal(client.loop)
        self.config = Config()
        self.pid: Callable[[], int] = lambda: 0
        """The kubelet's process number, for its log."""
        self.words = words(version)
        self.recorder = client.recorder("kubelet", name) if kubeadm else None
        self.node = NodeReporter(
            client,
            name,
            address,
            version=version,
            fake=not kubeadm,
            images=self.runtime.images,
            recorder=self.recorder,
            labels=labels or {},
            taints=taints or [],
        )
        self.node.get = lambda: self._nodes.get(name) if self._nodes else None
        self.node.log = self.log
        self.node.config = lambda: self.config
        self.lookups = Lookups(self)
        self.volumes = Volumes(self.fs, self.lookups.get, self.lookups.token, address)
        self.actions = Actions(
            client.loop, self.runtime, NetworkNamespace(address, self.fabric, hostname=name, node=name, quiet=True)
        )
        self.references = References(self)
        self.addresses = Addresses()
        self.server = KubeletServer(self)
        self.static = StaticPods(self)
        self.eviction = EvictionManager(self)
        self.writer = PodWriter(self)
        self.workers: dict[str, PodWorker] = {}
        self.running = False
        self.pods: Informer | None = None
        self._nodes: Informer | None = None
        self._queue = WorkQueue(client.loop, self._sync, name="kubelet")
        self._timers: list[Timer] = []
        self._names: dict[str, str] = {}  # namespace/name -> uid of the newest worker
        self._started = client.loop.now

    def log(self, level: str, where: str, text: str) -> None:
        """A line of the kubelet's own log: its level, file and line, text."""
        loop = self.client.loop
        loop.log("kubelet", text)
        if not self.runtime.fake:
            pid = self.pid()
            self.journal.write("kubelet.service", "kubelet", pid, klog(loop.now, pid, level, where, text))

    # --- life -----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Register the node and begin; the node is Ready about a second later."""
        if self.running:
            return
        loop = self.client.loop
        self.running, self._started = True, loop.now
        self.node.shutting_down = False
        self.log("I", "server.go:529", f'"Kubelet version" kubeletVersion="{self.node.version}"')
        self.log("I", "kubelet.go:361", f'"Adding static pod path" path="{self.config.static_pod_path}"')
        self.log("I", "kubelet.go:2452", '"Starting kubelet main sync loop"')
        self._queue = WorkQueue(loop, self._sync, name="kubelet")
        self.node.event("Normal", "Starting", "Starting kubelet.")
        self._register()

    def _register(self) -> None:
        if not self.running:
            return
        try:
            self.node.register()
        except StatusError as error:
            what = f'"Unable to register node with API server" err={quoted(error)} node="{self.name}"'
            self.log("E", "kubelet_node_status.go:116", what)
            if not self._timers:
                self._begin()  # static Pods need no apiserver; one of them may be it
            self._timers.append(self.client.loop.call_later(limits.REGISTER_RETRY, self._register, background=True))
            return
        self.log("I", "kubelet_node_status.go:78", f'"Successfully registered node" node="{self.name}"')
        for reason in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"):
            self.node.event("Normal", reason, f"Node {self.name} status is now: {reason}")
        self.node.event("Normal", "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        self.node.ensure_csi_node()
        self.node.renew_lease()
        if not self._timers:
            self._begin()

    def _begin(self) -> None:
        """Watch, and do what a kubelet does again and again."""
        loop = self.client.loop
        self._nodes = self.client.informer("nodes", fields=f"metadata.name={self.name}")
        self.pods = self.client.informer("pods", fields=f"spec.nodeName={self.name}")
        self.pods.on(self._pod_added, self._pod_updated, self._pod_deleted)
        self._timers = [
            loop.call_later(0 if self.node.network else limits.NODE_READY_AFTER, self._network_ready),
            loop.every(limits.NODE_LEASE_RENEW_PERIOD, self.node.renew_lease),
            loop.every(limits.NODE_STATUS_UPDATE_FREQUENCY, self._look_at_node),
            loop.every(limits.STATIC_POD_CHECK_PERIOD, self.static.check),
            loop.every(limits.POD_SYNC_FREQUENCY, self._refresh),
        ]
        if not self.runtime.fake:
            self._timers.append(loop.every(limits.EVICTION_MONITORING_PERIOD, self.eviction.check))
        self.static.check()
        for uid in self.workers:
            self._queue.add(uid)

    def _look_at_node(self) -> None:
        """Every ten seconds: the node's status, and Pods' statuses that could not be written before."""
        self.node.report()
        for worker in self.workers.values():
            if worker.statuses.unsent:
                self._queue.add(worker.uid)

    def _network_ready(self) -> None:
        self.node.network = True
        self.node.report()
        for uid in self.workers:
            self._queue.add(uid)

    def runtime_changed(self) -> None:
        """containerd has come or gone: the kubelet sees that when it next lists the containers."""
        self.node.runtime = self.runtime.running
        if self.running:
            if not self.runtime.running:
                what = (
                    'rpc error: code = Unavailable desc = connection error: desc = \\"transport: Error while dialing: '
                )
                what += 'dial unix /run/containerd/containerd.sock: connect: no such file or directory\\"'
                self.log("E", "generic.go:254", f'"GenericPLEG: Unable to retrieve pods" err="{what}"')
            self.node.report()
            for uid in self.workers:
                self._queue.add(uid)

    def shut_down(self) -> float:
        """A graceful node shutdown begins: end the Pods, the critical ones last; the seconds that this may take."""
        whole, critical = self.config.shutdown_grace, self.config.shutdown_grace_critical
        if not whole or not self.running:
            return 0.0
        self.node.shutting_down = True
        self.node.report()
        what = '"Shutdown manager detected new shutdown event, isNodeShuttingDown=true"'
        self.log("I", "nodeshutdown_manager_linux.go:285", what)
        loop = self.client.loop
        for worker in list(self.workers.values()):
            if int(worker.spec.get("priority") or 0) >= CRITICAL_PRIORITY:
                loop.call_later(whole - critical, worker.killer.shut_down, critical)
            else:
                worker.killer.shut_down(whole - critical)
        return whole

    def stop(self) -> None:
        """End the agent; containers go on."""
        self.running = False
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        self._queue.stop()
        self.references.clear()
        self.client.stop()
        self.lookups.services = None
        self.pods = self._nodes = None

    def node_uid(self) -> str:
        node = self.node.get()
        return str(node["metadata"]["uid"]) if node else self.node._uid

    # --- Pods -----------------------------------------------------------------------------------------------
    def enqueue(self, uid: str) -> None:
        self._queue.add(uid)

    def requeue(self, uid: str, seconds: float, *, background: bool = False) -> None:
        self._queue.add_after(uid, seconds, background=background)

    def hurry(self, uid: str) -> None:
        """What a Pod waited for has come: its next try is worth waiting for."""
        worker = self.workers.get(uid)
        if worker:
            self._queue.add_after(uid, worker.retry_at - self.client.loop.now - 0.001)

    def noticed(self, uid: str) -> None:
        """Something happened in the runtime: the kubelet sees it when it next lists the containers (PLEG)."""
        if self.runtime.fake:
            self._queue.add_after(uid, limits.HOLLOW_NODE_SECONDS)
            return
        period = limits.PLEG_RELIST_PERIOD
        self._queue.add_after(uid, period - (self.client.loop.now - self._started) % period)

    def _pod_added(self, pod: Object) -> None:
        if is_mirror(pod):
            self.static.mirror_changed(pod)
            self._sync_static(pod)
            return
        meta = pod["metadata"]
        worker = self.workers.get(meta["uid"])
        if worker is None:
            worker = self._new_worker(pod)
        worker.update(pod)
        self._queue.add(meta["uid"])

    def _new_worker(self, pod: Object) -> PodWorker:
        meta = pod["metadata"]
        worker = PodWorker(self, pod)
        self.workers[meta["uid"]] = worker
        self._names[f"{meta['namespace']}/{meta['name']}"] = meta["uid"]
        return worker

    def _pod_updated(self, old: Object, new: Object) -> None:
        meta = new["metadata"]
        if old["metadata"]["uid"] != meta["uid"]:
            self._pod_deleted(old)
            self._pod_added(new)
            return
        if is_mirror(new):
            self.static.mirror_changed(new)
            return
        worker = self.workers.get(meta["uid"])
        if worker is None:
            self._pod_added(new)
            return
        worker.update(new)
        told = worker.status
        if (
            meta.get("generation") != old["metadata"].get("generation")
            or new.get("status") != told
            or meta.get("deletionTimestamp") != old["metadata"].get("deletionTimestamp")
            or meta.get("deletionGracePeriodSeconds") != old["metadata"].get("deletionGracePeriodSeconds")
        ):
            self._queue.add(meta["uid"])

    def _pod_deleted(self, pod: Object) -> None:
        if is_mirror(pod):
            static = self.static.find(pod)
            if static is not None:
                self.client.loop.call_soon(self.static.ensure_mirror, static)
            return
        worker = self.workers.get(pod["metadata"]["uid"])
        if worker:
            worker.removed = True
            self._queue.add(worker.uid)

    def _sync_static(self, mirror: Object) -> None:
        static = self.static.find(mirror)
        if static is not None:
            self._queue.add(static["metadata"]["uid"])

    def add_static(self, pod: Object) -> None:
        worker = self._new_worker(pod)
        self._queue.add(worker.uid)

    def remove_static(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker:
            worker.removed = True
            self._queue.add(uid)

    def ending(self, mirror: Object) -> bool:
        """Whether a static Pod of that name is still being ended."""
        meta = mirror["metadata"]
        return any(w.name == meta["name"] and w.namespace == meta["namespace"] for w in self.workers.values())

    def worker_named(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the newest Pod of that name."""
        return self.workers.get(self._names.get(f"{namespace}/{name}", ""))

    def forget(self, worker: PodWorker) -> None:
        """A worker has done all it had to do."""
        self.workers.pop(worker.uid, None)
        key = f"{worker.namespace}/{worker.name}"
        if self._names.get(key) == worker.uid:
            del self._names[key]

    def _sync(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if not self.runtime.running:
            return
        if worker and self.running and (self.node.network or worker.spec.get("hostNetwork")):
            worker.sync()

    def admit(self, pod: Object) -> tuple[str, str] | None:
        """Why the node cannot take a Pod: (reason, message); None if it can."""
        uid = pod["metadata"]["uid"]
        if uid in self.static.pods:
            return None
        if self.node.shutting_down:
            return "NodeShutdown", "Pod was rejected as the node is shutting down."
        pressed = self.eviction.admit(pod)
        if pressed:
            return pressed
        return admission.check(pod, self.node.get(), [(w.spec, w.requests) for w in self._others(uid)])

    def _others(self, but: str) -> list[PodWorker]:
        """The workers of the node's other Pods that were taken and have not ended."""
        return [
            w
            for w in self.workers.values()
            if w.started_at is not None and w.uid != but and w.status.get("phase") not in ("Succeeded", "Failed")
        ]

    def refuses_size(self, worker: PodWorker) -> tuple[str, str] | None:
        """Why a Pod's new size cannot be given: never (Infeasible), or not now (Deferred)."""
        return admission.size(worker.spec, self.node.get(), [w.requests for w in self._others(worker.uid)])

    def retry_resizes(self) -> None:
        """There is more room: Pods that wait for it may get their new size."""
        for worker in self.workers.values():
            if worker.resizer.pending:
                self._queue.add(worker.uid)

    def _refresh(self) -> None:
        for worker in self.workers.values():
            worker.refresh_volumes()

    # --- what a Pod's worker asks for -----------------------------------------------------------------------
    def event(self, pod: Object, type: str, reason: str, message: str, field_path: str = "") -> None:
        if not self.recorder or not self.running:
            return
        if pod["metadata"]["uid"] in self.static.pods or pod.get("metadata", {}).get("ownerReferences") is None:
            mirror = self.static.mirror(pod)
            if mirror and is_mirror(mirror):
                pod = mirror
        self.recorder.event(pod, type, reason, message, field_path=field_path)

    def network_files(self, pod: Object, sandbox: Sandbox) -> list[Mount]:
        """/etc/hosts, /etc/hostname and /etc/resolv.conf of a container."""
        own = pod["spec"].get("hostNetwork")
        text = self.resolv_conf(pod) if own else sandbox.network.resolv_conf()
        return network_files.mounts(pod, sandbox, self.address, text)

    def resolv_conf(self, pod: Object) -> str:
        """A new Pod's /etc/resolv.conf."""
        return network_files.resolv_conf(pod, self.cluster_dns, network_files.node_resolv_conf(self.fs))
