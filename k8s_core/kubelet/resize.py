"""Requests and limits changed in place: what the node can give is given at once, or after a restart if asked for so.

Stands for pkg/kubelet/allocation and kuberuntime's computePodResizeAction. Left out: the events, and
PodResizeInProgress, since nothing takes time here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from k8s_core.api import Object
from k8s_core.kubelet.container import Container
from k8s_core.kubelet.container_state import ContainerState

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker


class Resizer:
    """One Pod's resources as they are, beside those that its spec wants."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker
        self.pending: tuple[str, str] | None = None
        """Why the node has not given what is wanted: Infeasible or Deferred, and a message."""

    def look(self) -> None:
        """Give every running container what it should have, if the node can."""
        changed = [
            (container, state, state.current)
            for container, state in self.worker.running()
            if state.current and wanted(container) != state.current.config.resources
        ]
        self.pending = self.worker.kubelet.refuses_size(self.worker) if changed else None
        if self.pending is None:
            for container, state, run in changed:
                self._give(container, state, run)

    def _give(self, container: Object, state: ContainerState, run: Container) -> None:
        before, after = run.config.resources, wanted(container)
        run.config.resize(after)
        for policy in container.get("resizePolicy") or ():
            name = policy["resourceName"]
            if policy["restartPolicy"] == "RestartContainer" and _part(before, name) != _part(after, name):
                message = f"Container {container['name']} resize requires restart"
                state.resized = True
                self.worker.stop_container(container, state, self.worker._grace(), message)

    def condition(self, now: str, generation: int | None, old: list[Object]) -> list[Object]:
        """PodResizePending, while it is so."""
        if self.pending is None:
            return []
        was = next((c for c in old if c["type"] == "PodResizePending"), None)
        since = was["lastTransitionTime"] if was else now
        reason, message = self.pending
        found = {
            "type": "PodResizePending", "status": "True", "lastProbeTime": None, "lastTransitionTime": since,
            "reason": reason, "message": message,
        }  # fmt: skip
        return [found | ({"observedGeneration": generation} if generation else {})]


def wanted(container: Object) -> Object:
    """A container's requests and limits as the spec has them."""
    return {
        part: values for part, values in (container.get("resources") or {}).items() if part in ("limits", "requests")
    }


def _part(resources: Mapping[str, Any], name: str) -> tuple[object, object]:
    return tuple((resources.get(part) or {}).get(name) for part in ("requests", "limits"))  # type: ignore[return-value]  # two
