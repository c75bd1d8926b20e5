"""The row of a Pod: what READY, STATUS and RESTARTS say is worked out from its containers (printPod)."""

from typing import Any

from k8s_core.api import Object
from k8s_core.apiserver.tables.cells import NONE, age, condition, has_condition, since


def pod(obj: Object, now: float) -> list[Any]:
    """The cells of a Pod."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready, total, reason, restarts = summary(obj, now)
    addresses = status.get("podIPs") or ()
    return [
        obj["metadata"]["name"],
        f"{ready}/{total}",
        reason,
        restarts,
        age(obj, now),
        (addresses[0].get("ip") if addresses else "") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(obj, spec.get("readinessGates") or ()),
    ]


def conditions(obj: Object) -> list[Object]:
    """The conditions of a finished Pod's row, by which clients may filter it out."""
    messages = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
    phase = (obj.get("status") or {}).get("phase", "")
    if phase not in messages:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": messages[phase]}]


def summary(obj: Object, now: float) -> tuple[int, int, str, str]:
    """(ready containers, containers, status, restarts) as kubectl shows them."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    inits = {container["name"]: container for container in spec.get("initContainers") or ()}
    sidecars = {name for name, container in inits.items() if container.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    reason = status.get("reason") or status.get("phase") or ""
    if (condition(obj, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"

    ready = 0
    restarts = _Restarts()
    of_sidecars = _Restarts()
    initializing = False
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        restarts.add(container)
        sidecar = container["name"] in sidecars
        if sidecar:
            of_sidecars.add(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            reason = "Init:" + _ended(terminated)
        elif waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            reason = "Init:" + waiting["reason"]
        else:
            reason = f"Init:{i}/{len(inits)}"
        initializing = True
        break

    if not initializing or has_condition(obj, "Initialized"):
        restarts = of_sidecars
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            restarts.add(container)
            state = container.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                reason = state["waiting"]["reason"]
            elif state.get("terminated") is not None:
                reason = _ended(state["terminated"])
            elif container.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if has_condition(obj, "Ready") else "NotReady"

    if obj["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return ready, total, reason, restarts.show(now)


class _Restarts:
    """How often containers were restarted, and when last."""

    def __init__(self) -> None:
        self.count, self.last = 0, ""

    def add(self, container: Object) -> None:
        self.count += container.get("restartCount", 0)
        finished = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, finished)

    def show(self, now: float) -> str:
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _gates(obj: Object, gates: Any) -> str:
    return f"{sum(has_condition(obj, g['conditionType']) for g in gates)}/{len(gates)}" if gates else NONE
