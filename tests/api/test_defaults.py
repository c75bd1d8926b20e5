"""Defaults are what kube-apiserver fills in, and filling in twice changes nothing."""

import copy
from typing import Any

import pytest

from k8s_core.api import Object, defaults
from k8s_core.api.defaults.pods import pull_policy


def filled(api_version: str, kind: str, **fields: Any) -> Object:
    obj: Object = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **fields}
    defaults.apply(obj)
    again = copy.deepcopy(obj)
    defaults.apply(again)
    assert again == obj
    return obj


CONTAINER = {
    "name": "c",
    "image": "nginx",
    "imagePullPolicy": "Always",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
TEMPLATE_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


def test_pod() -> None:
    """A minimal Pod gets what `kubectl get pod -o yaml` shows and nothing else."""
    pod = filled("v1", "Pod", spec={"containers": [{"name": "c", "image": "nginx"}]})
    assert pod["spec"] == {"containers": [CONTAINER], "enableServiceLinks": True, **TEMPLATE_SPEC}
    assert pod["status"] == {}


def test_pod_parts() -> None:
    """Ports, probes, field references, volumes and requests are filled in where they are."""
    container = {
        "name": "c",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "livenessProbe": {"httpGet": {"port": 80}},
        "resources": {"limits": {"cpu": "1000m", "memory": "64Mi"}, "requests": {"memory": "32Mi"}},
    }
    volumes = [
        {"name": "e"},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "h", "hostPath": {"path": "/"}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ]
    spec = {"containers": [container], "volumes": volumes, "hostNetwork": True, "serviceAccountName": "me"}
    spec = filled("v1", "Pod", spec=spec)["spec"]
    found = spec["containers"][0]
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert found["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert found["livenessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert found["resources"]["requests"] == {"cpu": "1", "memory": "32Mi"}
    assert spec["volumes"] == [
        {"name": "e", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "h", "hostPath": {"path": "/", "type": ""}},
        {
            "name": "p",
            "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
            },
        },
    ]
    assert spec["serviceAccount"] == "me"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("localhost:5000/a/b", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("Not A Reference", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    """Only an image that may change under its name is always pulled."""
    assert pull_policy(image) == policy


def test_empty_values_are_not_kept() -> None:
    """What Go's types leave out when it is empty is gone; pointers and structs stay."""
    spec = {"containers": [{**CONTAINER, "args": [], "tty": False, "env": None}], "hostNetwork": False}
    pod = filled("v1", "Pod", spec={**spec, "automountServiceAccountToken": False, "nodeName": ""})
    assert pod["spec"] == {
        "containers": [CONTAINER],
        "automountServiceAccountToken": False,
        "enableServiceLinks": True,
        **TEMPLATE_SPEC,
    }


@pytest.mark.parametrize(
    ("api_version", "kind", "given", "spec", "status"),
    [
        (
            "apps/v1",
            "Deployment",
            {"template": TEMPLATE},
            {
                "replicas": 1,
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
            {},
        ),
        ("apps/v1", "ReplicaSet", {"template": TEMPLATE}, {"replicas": 1}, {"replicas": 0}),
        (
            "apps/v1",
            "DaemonSet",
            {"template": TEMPLATE},
            {
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
                },
                "revisionHistoryLimit": 10,
            },
            {
                "currentNumberScheduled": 0,
                "desiredNumberScheduled": 0,
                "numberMisscheduled": 0,
                "numberReady": 0,
            },
        ),
        (
            "apps/v1",
            "StatefulSet",
            {"template": TEMPLATE, "serviceName": "s"},
            {
                "serviceName": "s",
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "revisionHistoryLimit": 10,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
            {"replicas": 0, "availableReplicas": 0},
        ),
        (
            "v1",
            "ReplicationController",
            {"template": TEMPLATE},
            {"replicas": 1, "selector": {"a": "b"}},
            {"replicas": 0},
        ),
        (
            "batch/v1",
            "Job",
            {"template": TEMPLATE},
            {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
            {},
        ),
    ],
)
def test_workloads(api_version: str, kind: str, given: Object, spec: Object, status: Object) -> None:
    """Workloads get their replicas, strategies and limits, and their templates a Pod's defaults."""
    found = filled(api_version, kind, spec=copy.deepcopy(given))
    template = found["spec"].pop("template")
    assert found["spec"] == spec
    assert template == {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER], **TEMPLATE_SPEC}}
    assert found["status"] == status


def test_service() -> None:
    """A Service gets its type, protocols, target ports and traffic policies; a load balancer its node ports."""
    spec = filled("v1", "Service", spec={"ports": [{"port": 80}], "type": "LoadBalancer"})["spec"]
    assert spec == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "type": "LoadBalancer",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "allocateLoadBalancerNodePorts": True,
    }
    sticky = filled("v1", "Service", spec={"sessionAffinity": "ClientIP"})["spec"]
    assert sticky["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert filled("v1", "Service", spec={})["status"] == {"loadBalancer": {}}


@pytest.mark.parametrize(
    ("api_version", "kind", "fields", "expected"),
    [
        (
            "v1",
            "Namespace",
            {},
            {
                "metadata": {"name": "x", "labels": {"kubernetes.io/metadata.name": "x"}},
                "spec": {},
                "status": {"phase": "Active"},
            },
        ),
        (
            "v1",
            "Secret",
            {"data": {"b": "Yg=="}, "stringData": {"a": "A"}},
            {"type": "Opaque", "data": {"a": "QQ==", "b": "Yg=="}},
        ),
        ("v1", "ConfigMap", {"data": {}}, {}),
        ("v1", "ServiceAccount", {}, {}),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": {"egress": [{"ports": [{"port": 53}]}]}},
            {
                "spec": {
                    "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}],
                    "podSelector": {},
                    "policyTypes": ["Ingress", "Egress"],
                }
            },
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            {
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}],
                "roleRef": {"kind": "Role", "name": "r"},
            },
            {
                "subjects": [
                    {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"},
                    {"kind": "ServiceAccount", "name": "s"},
                ],
                "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
            },
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {"provisioner": "p"},
            {"provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        ),
        (
            "v1",
            "LimitRange",
            {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "0.5Gi"}}]}},
            {
                "spec": {
                    "limits": [
                        {
                            "type": "Container",
                            "max": {"cpu": "2"},
                            "min": {"memory": "512Mi"},
                            "default": {"cpu": "2"},
                            "defaultRequest": {"cpu": "2", "memory": "512Mi"},
                        }
                    ]
                }
            },
        ),
    ],
)
def test_other_kinds(api_version: str, kind: str, fields: Object, expected: Object) -> None:
    """Every other kind gets its own defaults and wire shape."""
    found = filled(api_version, kind, **copy.deepcopy(fields))
    assert found == {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **expected}


def test_parts_of_the_old_object_are_left_alone() -> None:
    """An update that carries the stored spec does not touch it."""
    spec = {"containers": [{"name": "c", "args": []}]}
    old = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec, "status": {}}
    new = {**old, "status": {"phase": "Running", "message": ""}}
    defaults.apply(new, old)
    assert spec == {"containers": [{"name": "c", "args": []}]}
    assert new["spec"] is spec
    assert new["status"] == {"phase": "Running"}
