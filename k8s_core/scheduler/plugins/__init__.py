"""Every plugin by name, and the default profile of kube-scheduler with its order and weights.

Left out: VolumeRestrictions, VolumeZone and NodeVolumeLimits.
"""

from collections.abc import Sequence

from k8s_core.api import Object
from k8s_core.scheduler.framework import Framework
from k8s_core.scheduler.plugin import Handle, Plugin
from k8s_core.scheduler.plugins.interpodaffinity import InterPodAffinity
from k8s_core.scheduler.plugins.node import NodeAffinity, NodeName, NodePorts, NodeUnschedulable, TaintToleration
from k8s_core.scheduler.plugins.noderesources import NodeResourcesBalancedAllocation, NodeResourcesFit
from k8s_core.scheduler.plugins.other import DynamicResources, ImageLocality, SchedulingGates
from k8s_core.scheduler.plugins.podtopologyspread import PodTopologySpread
from k8s_core.scheduler.plugins.volumebinding import VolumeBinding
from k8s_core.scheduler.preemption import DefaultPreemption

# apis/config/v1/default_plugins.go: the order in which plugins are asked, and what their scores count.
DEFAULT_PLUGINS: tuple[tuple[type[Plugin], int], ...] = (
    (SchedulingGates, 0),
    (NodeUnschedulable, 0),
    (NodeName, 0),
    (TaintToleration, 3),
    (NodeAffinity, 2),
    (NodePorts, 0),
    (NodeResourcesFit, 1),
    (VolumeBinding, 0),
    (PodTopologySpread, 2),
    (InterPodAffinity, 2),
    (DynamicResources, 0),
    (DefaultPreemption, 0),
    (NodeResourcesBalancedAllocation, 1),
    (ImageLocality, 1),
)
DYNAMIC_RESOURCES_SINCE = (1, 34)  # DynamicResourceAllocation is generally available
TAINTS_UNNAMED_SINCE = (1, 35)


def build(
    handle: Handle,
    profile: Object | None = None,
    *,
    version: str = "1.36",
    extra: Sequence[type[Plugin]] = (),
) -> Framework:
    """The framework of one KubeSchedulerProfile: schedulerName, percentageOfNodesToScore, pluginConfig, and
    plugins.multiPoint and plugins.score with enabled (name, weight) and disabled ("*" for all defaults).

    `extra` are plugin classes beside the built-in ones. ValueError for a plugin that nobody knows.
    """
    profile = profile or {}
    major, minor = (int(part) for part in version.split(".")[:2])
    registry = {plugin.name: plugin for plugin, _ in DEFAULT_PLUGINS} | {plugin.name: plugin for plugin in extra}
    weights = {plugin.name: weight for plugin, weight in DEFAULT_PLUGINS} | {plugin.name: 1 for plugin in extra}
    if (major, minor) < DYNAMIC_RESOURCES_SINCE:
        del weights[DynamicResources.name]
    for point in ("multiPoint", "score"):
        wanted = (profile.get("plugins") or {}).get(point) or {}
        disabled = {plugin["name"] for plugin in wanted.get("disabled") or ()}
        if point == "multiPoint":
            weights = {name: weight for name, weight in weights.items() if not disabled & {name, "*"}}
        for plugin in wanted.get("enabled") or ():
            if plugin["name"] not in registry:
                raise ValueError(f"{plugin['name']} does not exist")
            weights[plugin["name"]] = plugin.get("weight") or weights.get(plugin["name"]) or 1
    arguments = {entry["name"]: entry.get("args") or {} for entry in profile.get("pluginConfig") or ()}
    if (major, minor) < TAINTS_UNNAMED_SINCE:
        arguments[TaintToleration.name] = {"nameTaint": True}
    return Framework(
        handle,
        [(registry[name](handle, arguments.get(name, {})), weight) for name, weight in weights.items()],
        name=profile.get("schedulerName") or "default-scheduler",
        percentage_of_nodes_to_score=profile.get("percentageOfNodesToScore") or 0,
    )
