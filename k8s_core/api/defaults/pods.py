"""Defaults of Pods and of the Pod templates inside workloads.

Stands for `SetDefaults_Pod`, `SetDefaults_PodSpec`, `SetDefaults_Container`, `SetDefaults_Probe`,
`SetDefaults_Volume` and their kin in `pkg/apis/core/v1/defaults.go`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from k8s_core.api import Object, quantity
from k8s_core.api.defaults import table

TEMPLATES: Final = {
    ("v1", "PodTemplate"): ("template",),
    ("v1", "ReplicationController"): ("spec", "template"),
    ("apps/v1", "ReplicaSet"): ("spec", "template"),
    ("apps/v1", "Deployment"): ("spec", "template"),
    ("apps/v1", "DaemonSet"): ("spec", "template"),
    ("apps/v1", "StatefulSet"): ("spec", "template"),
    ("batch/v1", "Job"): ("spec", "template"),
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind keeps its Pod template."""

_IMAGE = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)


def apply(obj: Object, key: tuple[str, str]) -> None:
    """Fill in a Pod, or the Pod template of a workload."""
    if key == ("v1", "Pod"):
        spec = obj.setdefault("spec", {})
        if isinstance(spec, dict):
            _pod_spec(spec)
            _pod(spec)
    elif (path := TEMPLATES.get(key)) is not None:
        node: Any = obj
        for step in (*path, "spec"):
            if step == "template" and node.get(step) is None and key == ("v1", "ReplicationController"):
                return  # the one kind whose template is a pointer
            child = node.get(step)
            if child is None:
                child = node[step] = {}
            node = child
        _pod_spec(node)


def items(node: Object, *path: str) -> Iterator[Object]:
    """The objects in the list at the end of a path; nothing where something on the way is missing."""
    for name in path[:-1]:
        node = node.get(name) or {}
    return (item for item in node.get(path[-1]) or () if isinstance(item, dict))


def pull_policy(image: str) -> str:
    """`Always` for an image whose tag is `latest` or left out, `IfNotPresent` for all others."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _pod_spec(spec: Object) -> None:
    # The deprecated name of the field is written beside the new one, which wins.
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in items(spec, kind):
            if not container.get("imagePullPolicy"):
                container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    for volume in items(spec, "volumes"):
        if all(source is None or name == "name" for name, source in volume.items()):
            volume["emptyDir"] = {}
        if (image := volume.get("image")) is not None and not image.get("pullPolicy"):
            image["pullPolicy"] = pull_policy(image.get("reference") or "")
    table.apply(spec, "PodSpec")


def _pod(spec: Object) -> None:
    """What a Pod gets and a template does not."""
    regular = [c for name in ("containers", "initContainers") for c in items(spec, name)]
    for container in regular:
        resources = container.get("resources")
        if resources and resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
    _pod_requests(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        for container in regular:
            for port in items(container, "ports"):
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]


def _pod_requests(spec: Object) -> None:
    """Requests of the whole Pod: where it has limits, its containers' sum, or else the limit itself."""
    resources = spec.get("resources")
    if not resources or not (limits := resources.get("limits")):
        return
    requests = dict(resources.get("requests") or {})
    for name in limits:
        asked = [c["resources"]["requests"][name] for c in items(spec, "containers") if _asks(c, name)]
        if name not in requests:
            requests[name] = quantity.add(asked) if asked else limits[name]
    resources["requests"] = requests


def _asks(container: Object, name: str) -> bool:
    return name in ((container.get("resources") or {}).get("requests") or {})
