"""Makes a Pod's status from what its worker knows and tells the apiserver when it is news.

Stands for pkg/kubelet/status/status_manager.go. Conditions that others own are kept; a terminal phase is for good.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.validation.pods import qos_class
from k8s_core.kubelet import status as make
from k8s_core.kubelet.resize import CONDITIONS

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker


class StatusManager:
    """Keeps the status of one worker's Pod."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker
        self.status: Object = worker.pod.get("status") or {}
        self._written: Object | None = None
        self.unsent = False
        """The apiserver has not been told of the newest status yet: it could not be reached."""

    def disrupted(self, message: str) -> None:
        """The kubelet ends the Pod for the node's sake."""
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": self.worker.loop.timestamp(),
        }
        others = [c for c in self.status.get("conditions") or () if c["type"] != "DisruptionTarget"]
        self.status = {**self.status, "conditions": [*others, condition]}

    def make(self) -> Object:
        """The status as it should be now."""
        worker = self.worker
        spec, fake = worker.spec, worker.runtime.fake
        init_specs = spec.get("initContainers") or []
        initializing = bool(init_specs)

        def statuses(containers: list[Object], is_init: bool = False) -> list[Object]:
            return [
                make.container_status(c, worker.state(c["name"]), fake=fake, initializing=initializing, is_init=is_init)
                for c in containers
            ]

        inits, mains = statuses(init_specs, True), statuses(spec["containers"])
        old = self.status
        terminal = (worker.terminating or bool(worker.failed)) and not worker.running()
        if old.get("phase") in ("Succeeded", "Failed"):
            phase = old["phase"]  # a Pod never leaves a terminal phase
        elif worker.failed and not worker.running():
            phase = "Failed"
        else:
            phase = make.phase(spec, inits, mains, terminal=terminal)
            worker.done = phase in ("Succeeded", "Failed")
            if worker.done and worker.running():  # its sidecars have to end before
                phase = old.get("phase") or "Running"
        now = worker.loop.timestamp()
        status: Object = {
            "phase": phase,
            "conditions": worker.resizer.conditions(
                now, worker.pod["metadata"].get("generation"), old.get("conditions") or []
            )
            + make.conditions(
                worker.pod,
                [c for c in old.get("conditions") or () if c["type"] not in CONDITIONS],
                inits,
                mains,
                phase=phase,
                has_sandbox=bool(worker.sandbox and worker.sandbox.ready),
                now=now,
            ),
            "hostIP": worker.kubelet.address,
            "hostIPs": [{"ip": worker.kubelet.address}],
            "startTime": old.get("startTime") or now,
            "qosClass": old.get("qosClass") or qos_class(spec),
        }
        if not (worker.failed and not worker.sandbox and not old.get("containerStatuses")):
            status["containerStatuses"] = mains
            if inits:
                status["initContainerStatuses"] = inits
            extra = spec.get("ephemeralContainers")
            if extra:
                status["ephemeralContainerStatuses"] = [
                    {
                        key: each for key, each in (one | {"ready": False}).items() if key != "started"
                    }  # nobody probes them
                    for one in statuses(extra)
                ]
            status["resources"] = spec.get("resources") or {}
        if worker.failed:
            status["reason"], status["message"] = worker.failed
        address = worker.sandbox.network.address if worker.sandbox else old.get("podIP")
        if address:
            status["podIP"], status["podIPs"] = address, [{"ip": address}]
        generation = worker.pod["metadata"].get("generation")
        if generation:
            status["observedGeneration"] = generation
        for kept in ("nominatedNodeName", "resourceClaimStatuses"):
            if kept in old:
                status[kept] = old[kept]
        return status

    def write(self) -> None:
        """Tell the apiserver, if there is something new."""
        worker = self.worker
        if worker.removed or worker.finished:
            return
        theirs = worker.kubelet.writer.known_status(worker.pod)
        if self._written is None or theirs is not self._written:
            others = [c for c in theirs.get("conditions") or () if c["type"] not in make.OWN_CONDITIONS]
            ours = {*make.OWN_CONDITIONS, "DisruptionTarget"} if worker.failed else make.OWN_CONDITIONS
            others = [c for c in others if c["type"] not in ours]
            mine = [c for c in self.status.get("conditions") or () if c["type"] in ours]
            self.status = {**self.status, "conditions": mine + others}
        new = self.make()
        if new == theirs:
            self.status = new
            return
        self.status = new
        written = worker.kubelet.writer.write_status(worker.pod, new)
        self.unsent = written is None
        if written is not None:
            worker.pod, self._written = written, written["status"]
