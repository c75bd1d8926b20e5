"""Constant defaults: kind -> path -> value.

In a path, `a.b` makes `a` when it is missing (a struct in Go), `a?.b` stops when it is missing (a pointer in Go)
and `a[].b` goes through a list. A value that is missing, null or an empty string is filled in.
"""

import copy
from typing import Any, Final

from k8s_core.api import Object

CLAIM: Final = {"spec.volumeMode": "Filesystem", "status.phase": "Pending"}
WEBHOOK: Final = {
    "webhooks[].failurePolicy": "Fail",
    "webhooks[].matchPolicy": "Equivalent",
    "webhooks[].namespaceSelector": {},
    "webhooks[].objectSelector": {},
    "webhooks[].timeoutSeconds": 10,
    "webhooks[].rules[].scope": "*",
    "webhooks[].clientConfig?.service?.port": 443,
}
RBAC_GROUP: Final = "rbac.authorization.k8s.io"

DEFAULTS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("v1", "Service"): {
        "spec.sessionAffinity": "None",
        "spec.type": "ClusterIP",
        "spec.ports[].protocol": "TCP",
    },
    ("v1", "Endpoints"): {"subsets[].ports[].protocol": "TCP"},
    ("v1", "Namespace"): {"status.phase": "Active"},
    ("v1", "Secret"): {"type": "Opaque"},
    ("v1", "PersistentVolumeClaim"): CLAIM,
    ("v1", "PersistentVolume"): {
        "spec.persistentVolumeReclaimPolicy": "Retain",
        "spec.volumeMode": "Filesystem",
        "spec.hostPath?.type": "",
        "spec.iscsi?.iscsiInterface": "default",
        "status.phase": "Pending",
    },
    ("v1", "ReplicationController"): {"spec.replicas": 1},
    ("apps/v1", "ReplicaSet"): {"spec.replicas": 1},
    ("apps/v1", "Deployment"): {
        "spec.replicas": 1,
        "spec.strategy.type": "RollingUpdate",
        "spec.revisionHistoryLimit": 10,
        "spec.progressDeadlineSeconds": 600,
    },
    ("apps/v1", "DaemonSet"): {
        "spec.updateStrategy.type": "RollingUpdate",
        "spec.revisionHistoryLimit": 10,
    },
    ("apps/v1", "StatefulSet"): {
        "spec.replicas": 1,
        "spec.podManagementPolicy": "OrderedReady",
        "spec.updateStrategy.type": "RollingUpdate",
        "spec.revisionHistoryLimit": 10,
        "spec.persistentVolumeClaimRetentionPolicy": {},
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
        "spec.volumeClaimTemplates[].apiVersion": "v1",
        "spec.volumeClaimTemplates[].kind": "PersistentVolumeClaim",
        "spec.volumeClaimTemplates[].spec.volumeMode": "Filesystem",
        "spec.volumeClaimTemplates[].status.phase": "Pending",
    },
    ("batch/v1", "Job"): {
        "spec.completionMode": "NonIndexed",
        "spec.suspend": False,
        "spec.podFailurePolicy?.rules[].onPodConditions[].status": "True",
    },
    ("batch/v1", "CronJob"): {
        "spec.concurrencyPolicy": "Allow",
        "spec.suspend": False,
        "spec.successfulJobsHistoryLimit": 3,
        "spec.failedJobsHistoryLimit": 1,
    },
    ("autoscaling/v1", "HorizontalPodAutoscaler"): {"spec.minReplicas": 1},
    ("autoscaling/v2", "HorizontalPodAutoscaler"): {"spec.minReplicas": 1},
    ("networking.k8s.io/v1", "IngressClass"): {"spec.parameters?.scope": "Cluster"},
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "spec.ingress[].ports[].protocol": "TCP",
        "spec.egress[].ports[].protocol": "TCP",
    },
    ("storage.k8s.io/v1", "StorageClass"): {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    ("storage.k8s.io/v1", "CSIDriver"): {
        "spec.attachRequired": True,
        "spec.podInfoOnMount": False,
        "spec.storageCapacity": False,
        "spec.fsGroupPolicy": "ReadWriteOnceWithFSType",
        "spec.volumeLifecycleModes": ["Persistent"],
        "spec.requiresRepublish": False,
        "spec.seLinuxMount": False,
    },
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): {"roleRef.apiGroup": RBAC_GROUP},
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): {"roleRef.apiGroup": RBAC_GROUP},
    ("scheduling.k8s.io/v1", "PriorityClass"): {"preemptionPolicy": "PreemptLowerPriority"},
    ("discovery.k8s.io/v1", "EndpointSlice"): {"ports[].name": "", "ports[].protocol": "TCP"},
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): WEBHOOK,
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): WEBHOOK
    | {"webhooks[].reinvocationPolicy": "Never"},
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): {
        "spec.failurePolicy": "Fail",
        "spec.matchConstraints?.matchPolicy": "Equivalent",
        "spec.matchConstraints?.namespaceSelector": {},
        "spec.matchConstraints?.objectSelector": {},
        "spec.matchConstraints?.resourceRules[].scope": "*",
        "spec.matchConstraints?.excludeResourceRules[].scope": "*",
    },
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): {
        "spec.matchResources?.matchPolicy": "Equivalent",
        "spec.matchResources?.namespaceSelector": {},
        "spec.matchResources?.objectSelector": {},
        "spec.matchResources?.resourceRules[].scope": "*",
        "spec.matchResources?.excludeResourceRules[].scope": "*",
    },
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): {
        "spec.conversion.strategy": "None",
        "spec.conversion.webhook?.clientConfig?.service?.port": 443,
    },
    ("apiregistration.k8s.io/v1", "APIService"): {"spec.service?.port": 443},
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): {"spec.matchingPrecedence": 1000},
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): {
        "spec.exempt?.nominalConcurrencyShares": 0,
        "spec.exempt?.lendablePercent": 0,
        "spec.limited?.nominalConcurrencyShares": 30,
        "spec.limited?.lendablePercent": 0,
        "spec.limited?.limitResponse.queuing?.queues": 64,
        "spec.limited?.limitResponse.queuing?.handSize": 8,
        "spec.limited?.limitResponse.queuing?.queueLengthLimit": 50,
    },
    ("authentication.k8s.io/v1", "TokenRequest"): {"spec.expirationSeconds": 3600},
}


def apply(obj: Object, key: tuple[str, str]) -> None:
    """Fill in what the table says for this kind."""
    for steps, value in _PLANS.get(key, ()):
        _fill(obj, steps, value)


def _fill(node: Any, steps: tuple[str, ...], value: Any) -> None:
    for position, step in enumerate(steps):
        if not isinstance(node, dict):
            return
        if step.endswith("[]"):
            for item in node.get(step[:-2]) or ():
                _fill(item, steps[position + 1 :], value)
            return
        if position == len(steps) - 1:
            if node.get(step) in (None, ""):
                node[step] = copy.copy(value)
            return
        name = step.removesuffix("?")
        child = node.get(name)
        if child is None:
            if step != name:
                return
            child = node[name] = {}
        node = child


_PLANS: Final = {
    key: [(tuple(path.split(".")), value) for path, value in paths.items()] for key, paths in DEFAULTS.items()
}
