"""What the kubelet's own log says about Pods: failed probes and mounts, containers that do not start, kills.

The lines are those of a kubelet at its default verbosity; who looks for the cause of a CrashLoopBackOff with
journalctl finds them. Stands for the klog calls in pod_workers.go, prober.go, kuberuntime_container.go and the
volume manager. Left out: what goes well (volumes, Pods that start), so that what does not is seen.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.kubelet.journal import quoted

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet


class PodJournal:
    """Writes the lines about one Pod."""

    def __init__(self, kubelet: "Kubelet", pod: Object) -> None:
        meta = pod["metadata"]
        self.kubelet = kubelet
        self.name, self.uid = f"{meta['namespace']}/{meta['name']}", meta["uid"]
        self._said: dict[str, tuple[str, str]] = {}

    def not_mounted(self, message: str) -> None:
        self.kubelet.log("E", "nestedpendingoperations.go:348", message)

    def not_started(self, container: str, reason: str, message: str) -> None:
        """A container that waits for a reason; said once as long as reason and message stay."""
        if self._said.get(container) == (reason, message):
            return
        self._said[container] = (reason, message)
        error = f'failed to "StartContainer" for "{container}" with {reason}: {quoted(message)}'
        what = f'"Error syncing pod, skipping" err={quoted(error)} pod="{self.name}" podUID="{self.uid}"'
        self.kubelet.log("E", "pod_workers.go:1324", what)

    def started(self, container: str) -> None:
        self._said.pop(container, None)

    def probe_failed(self, kind: str, container: str, output: str) -> None:
        self.kubelet.log(
            "I",
            "prober.go:120",
            f'"Probe failed" probeType="{kind}" pod="{self.name}" podUID="{self.uid}" containerName="{container}" '
            f'probeResult="failure" output={quoted(output)}',
        )

    def killing(self, container: str, id: str, grace: float) -> None:
        self.kubelet.log(
            "I",
            "kuberuntime_container.go:864",
            f'"Killing container with a grace period" pod="{self.name}" podUID="{self.uid}" '
            f'containerName="{container}" containerID="containerd://{id}" gracePeriod={grace:g}',
        )
