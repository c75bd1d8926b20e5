"""What a Pod's probes say, and what follows: ready or not, started, killed and started again.

Stands for pkg/kubelet/prober's manager and results, and for what the kubelet's sync loop makes of them.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.kubelet import status as make
from k8s_core.kubelet.container import Container
from k8s_core.kubelet.container_state import ContainerState
from k8s_core.kubelet.prober import Probe

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker


class PodHealth:
    """The probes of one Pod."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker

    def begin(self, container: Object, state: ContainerState, run: Container) -> None:
        """A container has started: probe it until it ends."""
        for kind in ("startup", "readiness", "liveness"):
            probe = container.get(f"{kind}Probe")
            if probe:
                state.probes.append(self._probe(kind, probe, container, state, run))

    def _probe(self, kind: str, probe: Object, container: Object, state: ContainerState, run: Container) -> Probe:
        def verdict(self_probe: Probe, healthy: bool) -> None:
            self._judge(self_probe, healthy, container, state, run)

        return Probe(
            self.worker.kubelet.actions,
            kind,
            probe,
            container,
            run,
            lambda: state.started != (kind == "startup"),
            verdict,
            lambda message: self._unhealthy(kind, message, container["name"]),
            lambda message: self.worker.event("Warning", "ProbeWarning", message, container["name"]),
        )

    def _unhealthy(self, kind: str, message: str, container: str) -> None:
        self.worker.event("Warning", "Unhealthy", message, container)
        self.worker.journal.probe_failed(kind.capitalize(), container, message.partition(": ")[2])

    def _judge(self, probe: Probe, healthy: bool, container: Object, state: ContainerState, run: Container) -> None:
        if probe.kind == "readiness":
            if state.ready != healthy:
                state.ready = healthy
                self.worker.kubelet.enqueue(self.worker.uid)
        elif healthy and probe.kind == "startup" and not state.started:
            state.started = True
            state.ready = not container.get("readinessProbe")
            self.worker.kubelet.enqueue(self.worker.uid)
        if healthy:
            if (
                state.ready
                and make.restarts(container, self.worker.spec, 0)
                and run.waited_for_until > self.worker.loop.now
            ):
                run.waited_for_until = self.worker.loop.now
                for other in state.probes:
                    other.relax()
            return
        if probe.kind == "readiness":
            return
        if not state.stopping and not self.worker.terminating:
            probe.stop()
            seconds = probe.probe.get("terminationGracePeriodSeconds")
            if seconds is None:
                seconds = self.worker.spec.get("terminationGracePeriodSeconds", 30)
            message = f"Container {container['name']} failed {probe.kind} probe, will be restarted"
            self.worker.killer.stop(container, state, float(seconds), message)
