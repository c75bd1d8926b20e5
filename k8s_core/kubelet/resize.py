"""Requests and limits changed in place: what the node can give is given at once, or after a restart if asked for so.

Stands for pkg/kubelet/allocation and kuberuntime's computePodResizeAction: the events of a resize and its conditions,
PodResizePending while the node has not given what is wanted, PodResizeInProgress while containers are started anew.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from k8s_core.api import Object
from k8s_core.kubelet.container import Container
from k8s_core.kubelet.container_state import ContainerState

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker

CONDITIONS = ("PodResizePending", "PodResizeInProgress")


class Resizer:
    """One Pod's resources as they are, beside those that its spec wants."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker
        self.pending: tuple[str, str] | None = None
        """Why the node has not given what is wanted: Infeasible or Deferred, and a message."""
        self.under_way = False

    def look(self) -> None:
        """Give every running container what it should have, if the node can."""
        worker = self.worker
        changed = [
            (container, state, state.current)
            for container, state in worker.running()
            if state.current and not state.stopping and wanted(container) != state.current.config.resources
        ]
        before, self.pending = self.pending, worker.kubelet.refuses_size(worker) if changed else None
        if self.pending is not None:
            if self.pending != before:
                reason, message = self.pending
                self._tell("Warning", f"Resize{reason}", reason, message)
        elif changed:
            self._tell("Normal", "ResizeStarted", "started")
            self.under_way = True
            for container, state, run in changed:
                self._give(container, state, run)
        if self.under_way and not any(worker.state(c["name"]).resized for c in worker.all_containers()):
            self.under_way = False
            self._tell("Normal", "ResizeCompleted", "completed")
            worker.kubelet.retry_resizes()

    def _give(self, container: Object, state: ContainerState, run: Container) -> None:
        before, after = run.config.resources, wanted(container)
        run.config.resize(after)
        for policy in container.get("resizePolicy") or ():
            name = policy["resourceName"]
            if policy["restartPolicy"] == "RestartContainer" and _part(before, name) != _part(after, name):
                message = f"Container {container['name']} resize requires restart"
                state.resized = True
                self.worker.killer.stop(container, state, self.worker.killer.grace(), message)

    def _tell(self, kind: str, reason: str, what: str, error: str = "") -> None:
        """The event of a step: all sizes as they shall be, the generation, and what is in the way."""
        spec = self.worker.spec
        sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
        told: Object = {
            part: [{"name": c["name"], "resources": dict(sorted(wanted(c).items()))} for c in containers]
            for part, containers in (("initContainers", sidecars), ("containers", spec["containers"]))
            if containers
        }
        told["generation"] = self.worker.pod["metadata"].get("generation", 0)
        told |= {"error": error} if error else {}
        self.worker.event(kind, reason, f"Pod resize {what}: {orjson.dumps(told).decode()}")

    def conditions(self, now: str, generation: int | None, old: list[Object]) -> list[Object]:
        """PodResizePending and PodResizeInProgress, while it is so."""
        found = []
        for kind, holds in zip(CONDITIONS, (self.pending is not None, self.under_way), strict=True):
            if not holds:
                continue
            was = next((c for c in old if c["type"] == kind), None)
            since = was["lastTransitionTime"] if was else now
            condition: Object = {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
            if kind == "PodResizePending" and self.pending:
                condition["reason"], condition["message"] = self.pending
            found.append(condition | ({"observedGeneration": generation} if generation else {}))
        return found


def wanted(container: Object) -> Object:
    """A container's requests and limits as the spec has them."""
    return {
        part: values for part, values in (container.get("resources") or {}).items() if part in ("limits", "requests")
    }


def _part(resources: Mapping[str, Any], name: str) -> tuple[object, object]:
    return tuple((resources.get(part) or {}).get(name) for part in ("requests", "limits"))  # type: ignore[return-value]  # two
