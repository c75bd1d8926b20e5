"""The small plugins: the gates before the queue, images that are there already, claims that nobody holds.

Stand for plugins/schedulinggates, imagelocality and dynamicresources (of the last one only its word when a Pod
uses no claims; structured parameters are left out).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.plugin import MAX_NODE_SCORE, Event, Plugin, State, Status, unresolvable, unschedulable

if TYPE_CHECKING:
    from k8s_core.scheduler.framework import Diagnosis, Framework

MEGABYTE = 1024 * 1024
MIN_THRESHOLD = 23 * MEGABYTE
MAX_CONTAINER_THRESHOLD = 1000 * MEGABYTE


class SchedulingGates(Plugin):
    name = "SchedulingGates"
    events = frozenset({"TargetPod/Update"})

    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        gates = pod.spec.get("schedulingGates")
        if not gates:
            return None
        names = " ".join(gate["name"] for gate in gates)
        return unresolvable(f"waiting for scheduling gates: [{names}]")

    def helps(self, event: Event, pod: PodInfo) -> bool:
        return not event.new.spec.get("schedulingGates")


def normalized_image_name(image: str) -> str:
    """With the tag that is meant when none is given."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


class ImageLocality(Plugin):
    """Prefers nodes that have the images, the more so the more nodes have them (else Pods would pile up)."""

    name = "ImageLocality"

    def scores(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        containers = [*(pod.spec.get("initContainers") or ()), *pod.spec["containers"]]
        spread, total = self.handle.cache.image_spread, len(self.handle.cache.nodes)
        images = [normalized_image_name(container.get("image") or "") for container in containers]
        shares = {image: spread[image] / total for image in images if spread.get(image)}
        if not shares:
            return [0] * len(nodes)
        ceiling = MAX_CONTAINER_THRESHOLD * len(containers)
        result = []
        for node in nodes:
            found = sum(int(node.images.get(image, 0) * shares.get(image, 0.0)) for image in images)
            found = min(max(found, MIN_THRESHOLD), ceiling)
            result.append(MAX_NODE_SCORE * (found - MIN_THRESHOLD) // (ceiling - MIN_THRESHOLD))
        return result


class DynamicResources(Plugin):
    name = "DynamicResources"

    def post_filter(
        self, framework: "Framework", state: State, pod: PodInfo, diagnosis: "Diagnosis"
    ) -> tuple[str | None, Status | None]:
        return None, unschedulable("no new claims to deallocate")
