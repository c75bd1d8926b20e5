"""Defaults of Pods and of the Pod templates inside workloads.

Stands for `SetDefaults_Pod`, `SetDefaults_PodSpec`, `SetDefaults_Container`, `SetDefaults_Probe`,
`SetDefaults_Volume` and their kin in `pkg/apis/core/v1/defaults.go`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from k8s_core.api import Object, quantity

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

SPEC: Final = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
}
CONTAINER: Final = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
PROBE: Final = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
VOLUME: Final[dict[str, dict[str, Any]]] = {
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
TOKEN_SECONDS: Final = 3600
GRACE_SECONDS: Final = 30

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
    for name, value in SPEC.items():
        if not spec.get(name):
            spec[name] = value
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
    # The deprecated name of the field is written beside the new one, which wins.
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in items(spec, kind):
            _container(container)
    for volume in items(spec, "volumes"):
        _volume(volume)


def _container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    for name, value in CONTAINER.items():
        if not container.get(name):
            container[name] = value
    for port in items(container, "ports"):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in items(container, "env"):
        _field_ref((variable.get("valueFrom") or {}).get("fieldRef"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            for option, default in PROBE.items():
                if not probe.get(option):
                    probe[option] = default
            _http_get(probe.get("httpGet"))
            if (grpc := probe.get("grpc")) is not None and grpc.get("service") is None:
                grpc["service"] = ""
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _http_get(handler.get("httpGet"))


def _http_get(action: Object | None) -> None:
    if action is not None:
        action["path"] = action.get("path") or "/"
        action["scheme"] = action.get("scheme") or "HTTP"


def _field_ref(selector: Object | None) -> None:
    if selector is not None and not selector.get("apiVersion"):
        selector["apiVersion"] = "v1"


def _volume(volume: Object) -> None:
    if all(source is None or name == "name" for name, source in volume.items()):
        volume["emptyDir"] = {}
        return
    for kind, values in VOLUME.items():
        if (source := volume.get(kind)) is not None:
            for name, value in values.items():
                if source.get(name) is None:
                    source[name] = value
    if (image := volume.get("image")) is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference") or "")
    if (claim := (volume.get("ephemeral") or {}).get("volumeClaimTemplate")) is not None:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    for item in items(volume, "downwardAPI", "items"):
        _field_ref(item.get("fieldRef"))
    for source in items(volume, "projected", "sources"):
        token = source.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = TOKEN_SECONDS
        for item in items(source, "downwardAPI", "items"):
            _field_ref(item.get("fieldRef"))


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
