"""How containers and whole Pods are ended: hooks, signals, grace periods, and in which order.

Stands for kuberuntime_container.go's killContainer, and pod_workers.go as far as it ends Pods. Sidecars end after the
containers that they serve, the last one first.
"""

from typing import TYPE_CHECKING

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.kubelet import status as make
from k8s_core.kubelet.container import RUNNING
from k8s_core.kubelet.container_state import ContainerState
from k8s_core.kubelet.prober import FAILURE

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker


class Killer:
    """Ends what one worker has started."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker
        self._until = float("inf")
        """When the grace period of the whole Pod is over, once it is being ended."""
        self._evicted: float | None = None
        """Seconds of grace that its eviction leaves it."""
        self._longest = float("inf")

    def stop(self, container: Object, state: ContainerState, grace: float, message: str) -> None:
        """Event, preStop hook, signal, and the kill when the grace period is over."""
        worker, run = self.worker, state.current
        if run is None or run.state != RUNNING or state.stopping:
            return
        state.stopping = True
        worker.event("Normal", "Killing", message, container["name"])
        worker.journal.killing(container["name"], run.id, grace)
        hook = (container.get("lifecycle") or {}).get("preStop")
        begun = worker.loop.now
        if not hook or grace <= 0 or worker.runtime.fake:
            worker.runtime.stop(run, grace)
            return

        def after_hook(result: str, output: str) -> None:
            if result == FAILURE:
                worker.event("Warning", "FailedPreStopHook", "PreStopHook failed", container["name"])
            worker.runtime.stop(run, max(limits.MINIMUM_GRACE_PERIOD, grace - (worker.loop.now - begun)))

        worker.kubelet.actions.perform(hook, container, run, grace, after_hook)

    def shut_down(self, seconds: float) -> None:
        """The node is about to be switched off: the Pod has so many seconds at most."""
        message = "Pod was terminated in response to imminent node shutdown."
        self.worker.failed, self._longest = ("Terminated", message), seconds
        self.worker.statuses.disrupted(message)
        self.worker.kubelet.enqueue(self.worker.uid)

    def evict(self, message: str, grace: float = 0.0) -> None:
        """The node is short of something: the Pod ends and is Failed."""
        self.worker.failed, self._evicted = ("Evicted", message), grace
        self.worker.statuses.disrupted(message)
        self.worker.event("Warning", "Evicted", message)
        self.worker.kubelet.enqueue(self.worker.uid)

    def grace(self) -> float:
        """How long the Pod's containers have to end, in seconds."""
        worker, meta = self.worker, self.worker.pod["metadata"]
        if self._evicted is not None:
            return self._evicted
        if worker.removed and not meta.get("deletionTimestamp"):
            return limits.MINIMUM_GRACE_PERIOD
        if meta.get("deletionGracePeriodSeconds") is not None:
            return float(meta["deletionGracePeriodSeconds"])
        return min(float(worker.spec.get("terminationGracePeriodSeconds", 30) or 0), self._longest)

    def terminate(self) -> None:
        """End the whole Pod, or go on with that; a grace period that has become shorter counts."""
        worker, grace = self.worker, self.grace()
        shortened = worker.terminating and worker.loop.now + grace < self._until
        if worker.terminating and not shortened:
            self._stop_sidecars(max(limits.MINIMUM_GRACE_PERIOD, self._until - worker.loop.now))
            return
        worker.terminating = True
        self._until = worker.loop.now + grace
        worker.launcher.cancel()
        sidecars = self._sidecars()
        for container, state in worker.running():
            if shortened and state.current and state.stopping:
                worker.runtime.stop(state.current, grace)
            elif container["name"] not in sidecars:
                for probe in state.probes:
                    if probe.kind != "readiness":
                        probe.stop()
                self.stop(container, state, grace, f"Stopping container {container['name']}")
        self._stop_sidecars(grace)

    def _sidecars(self) -> set[str]:
        return {c["name"] for c in self.worker.spec.get("initContainers") or () if make.restartable(c)}

    def _stop_sidecars(self, grace: float) -> None:
        """Once nothing else runs, the last of them."""
        still, sidecars = self.worker.running(), self._sidecars()
        if still and all(container["name"] in sidecars for container, _ in still):
            container, state = still[-1]
            self.stop(container, state, grace, f"Stopping container {container['name']}")
