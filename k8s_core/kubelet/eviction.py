"""The eviction manager: when the node runs short of something, it says so and ends Pods, the greediest first.

Stands for pkg/kubelet/eviction. Every ten seconds it compares what is available with evictionHard and evictionSoft;
while a threshold is met the node has a pressure condition (and for five minutes after), and one Pod a time is evicted,
by a soft threshold only when that has been met for its grace period: first those that use more than they asked for,
then by priority, then by how much more. Pods that are critical stay. Images and containers share one file system
here. Left out: images that could be removed before.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object, quantity
from k8s_core.api.validation.pods import qos_class
from k8s_core.kubelet.config import SIGNALS, Signal, Threshold
from k8s_core.shell.fs import Directory, File, Node

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet
    from k8s_core.kubelet.pod_worker import PodWorker

EVENTS = {
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
}
"""Condition -> the reason of the event when it begins to hold, and when it holds no longer."""
COUNTED = ("inodes", "pids")
"""What is counted in pieces, and not told by container."""
CRITICAL_PRIORITY = 2_000_000_000


class EvictionManager:
    """One node's. `pressures` are the conditions that hold now."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self._seen: dict[str, float] = {}
        """Condition -> when its threshold was met last."""
        self._since: dict[Threshold, float] = {}
        """Threshold -> since when it has been met."""
        self._told: set[str] = set()

    @property
    def pressures(self) -> set[str]:
        now = self.kubelet.client.loop.now
        period = self.kubelet.config.eviction_transition
        return {kind for kind, seen in self._seen.items() if now - seen <= period}

    def _left(self, threshold: Threshold) -> tuple[int, int]:
        """(the threshold, what is left), in bytes or pieces."""
        whole, left = self.kubelet.runtime.left(SIGNALS[threshold.signal].what)
        return _amount(threshold.value, whole), left

    def _met(self, threshold: Threshold) -> bool:
        """One that was met stays so until evictionMinimumReclaim is available beyond it."""
        least, left = self._left(threshold)
        if threshold in self._since and threshold.reclaim:
            least += _amount(threshold.reclaim, self.kubelet.runtime.left(SIGNALS[threshold.signal].what)[0])
        return left < least

    def check(self) -> None:
        """Look at the signals; evict one Pod if a threshold is met, and every one that writes more than it may."""
        for worker in list(self.kubelet.workers.values()):
            if worker.running() and not worker.terminating and (why := self._too_much_written(worker)):
                worker.killer.evict(why)
        kubelet, before, time = self.kubelet, self._told, self.kubelet.client.loop.now
        low = [each for each in kubelet.config.eviction if self._met(each)]
        self._since = {each: self._since.get(each, time) for each in low}
        self._seen.update({SIGNALS[each.signal].condition: time for each in low})
        met = [each for each in low if time - self._since[each] >= (each.grace or 0.0)]
        now = self.pressures
        if now != before:
            kubelet.node.pressures = self._told = now
            for kind in sorted(now ^ before):
                word = EVENTS[kind][kind in before]
                kubelet.node.event("Normal", word, f"Node {kubelet.name} status is now: {word}")
            kubelet.node.report()
        for threshold in met[:1]:
            resource = SIGNALS[threshold.signal].resource
            kubelet.node.event("Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
            what = f'"Eviction manager: attempting to reclaim" resourceName="{resource}"'
            kubelet.log("W", "eviction_manager.go:376", what)
            self._evict(threshold)

    def _too_much_written(self, worker: "PodWorker") -> str:
        """Which limit a Pod's files exceed, in the words of its eviction; "" if none."""
        for volume in worker.spec.get("volumes") or ():
            limit = (volume.get("emptyDir") or {}).get("sizeLimit")
            node = (worker.volumes or {}).get(volume["name"])
            if limit and node is not None and tree_size(node) > quantity.value(limit):
                return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
        for spec, state in worker.running():
            limit = ((spec.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
            machine = state.current.machine if state.current else None
            if limit and machine and machine.usage.of("disk") > quantity.value(limit):
                return f'Container {spec["name"]} exceeded its local ephemeral storage limit "{limit}". '
        return ""

    def _evict(self, threshold: Threshold) -> None:
        signal = SIGNALS[threshold.signal]
        candidates = [w for w in self.kubelet.workers.values() if self._may_go(w)]
        if not candidates:
            what = '"Eviction manager: eviction thresholds have been met, but no pods are active to evict"'
            self.kubelet.log("E", "eviction_manager.go:427", what)
            return
        worker = min(candidates, key=lambda w: self._rank(w, signal))
        least, left = self._left(threshold)
        shown = quantity_text(least) if threshold.value.endswith("%") else threshold.value
        available = quantity.format(left * 10**9) if signal.what in COUNTED else _kibi(left)
        message = (
            f"The node was low on resource: {signal.resource}. Threshold quantity: {shown}, available: {available}. "
        )
        for name, used, asked in self._used(worker, signal) if signal.what not in COUNTED else ():
            if used > asked:
                request = quantity_text(asked)
                message += (
                    f"Container {name} was using {_kibi(used)}, request is {request}, has larger consumption of "
                    f"{signal.resource}. "
                )
        most = 0.0 if threshold.grace is None else self.kubelet.config.eviction_max_pod_grace
        worker.killer.evict(message, min(most, float(worker.spec.get("terminationGracePeriodSeconds", 30) or 0)))

    def _may_go(self, worker: "PodWorker") -> bool:
        static = worker.uid in self.kubelet.static.pods
        critical = int(worker.spec.get("priority") or 0) >= CRITICAL_PRIORITY
        return bool(worker.running()) and not static and not critical and not worker.terminating

    def _used(self, worker: "PodWorker", signal: Signal) -> list[tuple[str, int, int]]:
        """(container, how much it uses, how much it asked for)."""
        found = []
        for spec, state in worker.running():
            machine = state.current.machine if state.current else None
            asked = ((spec.get("resources") or {}).get("requests") or {}).get(signal.resource) or "0"
            used = machine.usage.of(signal.what) if machine else 0
            found.append((str(spec["name"]), used, quantity.value(asked)))
        return found

    def _rank(self, worker: "PodWorker", signal: Signal) -> tuple[bool, int, int]:
        figures = self._used(worker, signal)
        used, asked = sum(f[1] for f in figures), sum(f[2] for f in figures)
        modest = used <= asked and signal.what != "pids"  # nobody asks for process numbers
        return modest, int(worker.spec.get("priority") or 0), asked - used

    def admit(self, pod: Object) -> tuple[str, str] | None:
        """Why a Pod is not taken now; None if it is. Under memory pressure BestEffort Pods are not."""
        pressures = self.pressures
        if not pressures or int(pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY:
            return None
        if pressures == {"MemoryPressure"}:
            tolerates = any(
                t.get("key") in ("node.kubernetes.io/memory-pressure", None) and t.get("operator") == "Exists"
                for t in pod["spec"].get("tolerations") or ()
            )
            if qos_class(pod["spec"]) != "BestEffort" or tolerates:
                return None
        names = " ".join(sorted(pressures))
        return "Evicted", f"Pod was rejected: The node had condition: [{names}]. "


def _amount(value: str, whole: int) -> int:
    """A threshold's value, maybe a share of what there is in all."""
    return int(whole * float(value[:-1]) / 100) if value.endswith("%") else quantity.value(value)


def tree_size(node: Node) -> int:
    """Bytes of all files in a tree that is held in memory."""
    if isinstance(node, Directory):
        return sum(tree_size(child) for child in node.entries.values())
    return len(node.read()) if isinstance(node, File) else 0


def _kibi(size: int) -> str:
    return f"{max(size, 0) // 1024}Ki"


def quantity_text(size: int) -> str:
    """A request as it was written, as far as that can be told."""
    return quantity.format(size * 10**9, "binary") if size else "0"
