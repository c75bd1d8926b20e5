"""Every plugin by name, and the default profile of kube-scheduler with its order and weights."""

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
from k8s_core.scheduler.plugins.volumes import NodeVolumeLimits, VolumeRestrictions, VolumeZone
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
    (VolumeRestrictions, 0),
    (NodeVolumeLimits, 0),
    (VolumeBinding, 0),
    (VolumeZone, 0),
    (PodTopologySpread, 2),
    (InterPodAffinity, 2),
    (DynamicResources, 0),
    (DefaultPreemption, 0),
    (NodeResourcesBalancedAllocation, 1),
    (ImageLocality, 1),
)
POINTS = ("preEnqueue", "preFilter", "filter", "postFilter", "preScore", "score", "preBind")
"""The extension points that a profile may set one by one."""
DYNAMIC_RESOURCES_SINCE = (1, 34)  # DynamicResourceAllocation is generally available
TAINTS_UNNAMED_SINCE = (1, 35)


def build(
    handle: Handle,
    profile: Object | None = None,
    *,
    version: str = "1.36",
    extra: Sequence[type[Plugin]] = (),
) -> Framework:
    """The framework of one KubeSchedulerProfile: schedulerName, percentageOfNodesToScore, pluginConfig, and plugins:
    for multiPoint and each of `POINTS` enabled (name, weight) and disabled ("*" for all).

    `extra` are plugin classes beside the built-in ones. ValueError for a plugin that nobody knows.
    """
    profile = profile or {}
    major, minor = (int(part) for part in version.split(".")[:2])
    registry = {plugin.name: plugin for plugin, _ in DEFAULT_PLUGINS} | {plugin.name: plugin for plugin in extra}
    defaults = {plugin.name: weight for plugin, weight in DEFAULT_PLUGINS} | {plugin.name: 1 for plugin in extra}
    if (major, minor) < DYNAMIC_RESOURCES_SINCE:
        del defaults[DynamicResources.name]
    wanted = profile.get("plugins") or {}
    weights, everywhere = dict(defaults), set(defaults)
    for point in ("multiPoint", *POINTS):
        disabled = {plugin["name"] for plugin in (wanted.get(point) or {}).get("disabled") or ()}
        if point == "multiPoint":
            everywhere = {name for name in weights if not disabled & {name, "*"}}
            weights = {name: weight for name, weight in weights.items() if name in everywhere}
        for plugin in (wanted.get(point) or {}).get("enabled") or ():
            if plugin["name"] not in registry:
                raise ValueError(f"{plugin['name']} does not exist")
            if point == "multiPoint":
                everywhere.add(plugin["name"])
            given = plugin.get("weight") if point in ("multiPoint", "score") else 0
            known = weights.get(plugin["name"]) or defaults.get(plugin["name"])
            weights[plugin["name"]] = given or known or 1
    without = {(point, name) for point in POINTS for name in weights if not _runs(wanted.get(point), name, everywhere)}
    arguments = {entry["name"]: entry.get("args") or {} for entry in profile.get("pluginConfig") or ()}
    if (major, minor) < TAINTS_UNNAMED_SINCE:
        arguments[TaintToleration.name] = {"nameTaint": True}
    return Framework(
        handle,
        [(registry[name](handle, arguments.get(name, {})), weight) for name, weight in weights.items()],
        name=profile.get("schedulerName") or "default-scheduler",
        percentage_of_nodes_to_score=profile.get("percentageOfNodesToScore") or 0,
        without=without,
    )


def _runs(wanted: Object | None, name: str, everywhere: set[str]) -> bool:
    """Whether a plugin runs at an extension point: enabled there, or everywhere and not disabled there."""
    if any(plugin["name"] == name for plugin in (wanted or {}).get("enabled") or ()):
        return True
    disabled = {plugin["name"] for plugin in (wanted or {}).get("disabled") or ()}
    return name in everywhere and not disabled & {name, "*"}


def names() -> list[str]:
    """The built-in plugins, in the order in which they are asked."""
    return [plugin.name for plugin, _ in DEFAULT_PLUGINS]
