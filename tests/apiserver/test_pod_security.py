"""PodSecurity: which Pods a namespace's labels let in, and with which words others are turned away."""

from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.api.pod_security import describe, violations
from k8s_core.apiserver.request import Request, User
from k8s_core.cluster import Cluster

RESTRICTED = (
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec(context: Object | None = None, **more: Any) -> Object:
    container = {"name": "c", "image": "nginx", **({"securityContext": context} if context else {})}
    return {"containers": [container], **more}


@pytest.mark.parametrize(
    ("level", "pod", "words"),
    [
        ("privileged", spec({"privileged": True}), ""),
        ("baseline", spec(), ""),
        ("restricted", spec(), RESTRICTED),
        ("restricted", spec(SAFE), ""),
        (
            "baseline",
            spec({"privileged": True, "capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}, hostNetwork=True, hostPID=True),
            'non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)'
            ", host namespaces (hostNetwork=true, hostPID=true), "
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            "baseline",
            {"containers": [{"name": n, "ports": [{"hostPort": 80}, {"hostPort": 81}]} for n in "ab"]},
            'hostPort (containers "a", "b" use hostPorts 80, 81)',
        ),
        (
            "baseline",
            spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}], securityContext={"sysctls": [{"name": "a.b"}]}),
            'hostPath volumes (volume "v"), forbidden sysctls (a.b)',
        ),
        (
            "restricted",
            spec({**SAFE, "runAsUser": 0}, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            'restricted volume types (volume "v" uses restricted volume type "hostPath"), '
            'runAsUser=0 (container "c" must not set runAsUser=0)',
        ),
        (
            "baseline",
            spec(securityContext={"seccompProfile": {"type": "Unconfined"}, "seLinuxOptions": {"user": "u"}}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set), "
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
    ],
)
def test_what_a_level_forbids(level: str, pod: Object, words: str) -> None:
    """Reasons and details are upstream's, in its order."""
    assert describe(violations(level, pod)) == words


def namespace(cluster: Cluster, **labels: str) -> None:
    meta = {"name": "ns", "labels": {f"pod-security.kubernetes.io/{k.replace('_', '-')}": v for k, v in labels.items()}}
    cluster.client().create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    cluster.loop.run_ready()


def create(cluster: Cluster, kind: str, resource: str, body: Object) -> list[str]:
    """Create something in the namespace; returns the warnings."""
    api = "apps/v1" if "." in resource else "v1"
    obj = {"apiVersion": api, "kind": kind, "metadata": {"name": "web", "namespace": "ns"}, "spec": body}
    request = Request(
        verb="create", resource=cluster.apiserver.resources.find(resource), namespace="ns", object=obj,
        in_process=True, user=User("admin", ("system:masters",)),
    )  # fmt: skip
    cluster.apiserver.call(request)
    return request.warnings


def test_pods_are_refused(control_plane: Cluster) -> None:
    """403 names the level and its version."""
    namespace(control_plane, enforce="restricted", enforce_version="v1.36")
    with pytest.raises(StatusError) as caught:
        create(control_plane, "Pod", "pods", spec())
    wanted = f'pods "web" is forbidden: violates PodSecurity "restricted:v1.36": {RESTRICTED}'
    assert caught.value.message == wanted and caught.value.code == 403


def test_templates_are_warned_about(control_plane: Cluster) -> None:
    """A Deployment is let in with a warning; nothing is said about a Pod that fits."""
    namespace(control_plane, warn="restricted")
    labels = {"app": "web"}
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec()}}
    warned = create(control_plane, "Deployment", "deployments.apps", body)
    assert warned == [f'would violate PodSecurity "restricted:latest": {RESTRICTED}']
    assert create(control_plane, "Pod", "pods", spec(SAFE)) == []


def test_a_stricter_namespace_tells_of_its_pods(control_plane: Cluster) -> None:
    """Labelling warns of Pods that are there already; a label that makes no sense is refused."""
    namespace(control_plane)
    create(control_plane, "Pod", "pods", spec({"privileged": True}))
    found = control_plane.client().get("namespaces", "ns")
    labels = {**found["metadata"].get("labels", {}), "pod-security.kubernetes.io/enforce": "baseline"}
    request = Request(
        verb="update", resource=control_plane.apiserver.resources.find("namespaces"), name="ns", namespace="ns",
        object={**found, "metadata": {**found["metadata"], "labels": labels}}, in_process=True,
        user=User("admin", ("system:masters",)),
    )  # fmt: skip
    control_plane.apiserver.call(request)
    assert request.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "web: privileged",
    ]
    with pytest.raises(StatusError, match="must be one of privileged, baseline, restricted"):
        labels = {"pod-security.kubernetes.io/enforce": "strict"}
        control_plane.client().patch("namespaces", "ns", "", {"metadata": {"labels": labels}})
