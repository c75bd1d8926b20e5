"""Validation: what kube-apiserver refuses with 422, and in which words.

Stands for `pkg/apis/*/validation` and the strategies' own checks. One file per API area; `common.py` holds what
they share. `create` and `update` never raise and give field errors in upstream's order; `errors.invalid` makes
the one Status of them. Kinds without rules of their own have their metadata checked, nothing more: what depends
on other objects is admission's or an allocator's business.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError
from k8s_core.api.validation import (
    autoscaling,
    batch,
    core,
    endpoints,
    extensions,
    meta,
    networking,
    pods,
    policy,
    rbac,
    services,
    storage,
    warnings,
    workloads,
)
from k8s_core.api.validation.common import NameCheck, check_label, check_subdomain

__all__ = ["NAMELESS", "RULES", "SUBRESOURCES", "create", "update", "warnings"]

Create = Callable[[Object], Iterator[FieldError]]
Update = Callable[[Object, Object], Iterator[FieldError]]


class Rules(NamedTuple):
    """How one kind is validated beyond its metadata; an update without a rule of its own is a creation again."""

    create: Create | None = None
    update: Update | None = None
    status: Update | None = None
    name: NameCheck = check_subdomain


RULES: Final[dict[tuple[str, str], Rules]] = {
    ("v1", "Pod"): Rules(pods.create, pods.update, pods.status),
    ("v1", "PodTemplate"): Rules(pods.pod_template, pods.pod_template_update),
    ("v1", "Service"): Rules(services.service, services.service_update, services.service_status, check_label),
    ("v1", "Endpoints"): Rules(endpoints.endpoints, endpoints.endpoints_update),
    ("discovery.k8s.io/v1", "EndpointSlice"): Rules(endpoints.endpoint_slice, endpoints.endpoint_slice_update),
    ("v1", "ReplicationController"): Rules(workloads.replication_controller, None, workloads.status),
    ("apps/v1", "ReplicaSet"): Rules(workloads.replica_set, workloads.replica_set_update, workloads.status),
    ("apps/v1", "Deployment"): Rules(workloads.deployment, workloads.deployment_update, workloads.status),
    ("apps/v1", "DaemonSet"): Rules(workloads.daemon_set, workloads.daemon_set_update, workloads.status),
    ("apps/v1", "StatefulSet"): Rules(
        workloads.stateful_set, workloads.stateful_set_update, workloads.status, check_label
    ),
    ("apps/v1", "ControllerRevision"): Rules(workloads.controller_revision, workloads.controller_revision_update),
    ("v1", "Namespace"): Rules(core.namespace, core.namespace_update, core.namespace_status, check_label),
    ("v1", "ConfigMap"): Rules(core.config_map, core.config_map_update),
    ("v1", "Secret"): Rules(core.secret, core.secret_update),
    ("v1", "Node"): Rules(core.node, core.node_update, core.node_update),
    ("v1", "Event"): Rules(core.event, name=names.path_segment),
    ("events.k8s.io/v1", "Event"): Rules(core.event, name=names.path_segment),
    ("v1", "PersistentVolume"): Rules(storage.persistent_volume, storage.persistent_volume_update),
    ("v1", "PersistentVolumeClaim"): Rules(storage.claim, storage.claim_update),
    ("v1", "ResourceQuota"): Rules(policy.resource_quota, policy.resource_quota_update, policy.resource_quota_status),
    ("v1", "LimitRange"): Rules(policy.limit_range),
    ("batch/v1", "Job"): Rules(batch.job, batch.job_update, workloads.status),
    ("batch/v1", "CronJob"): Rules(batch.cron_job, batch.cron_job_update),
    ("autoscaling/v1", "Scale"): Rules(workloads.scale),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): Rules(autoscaling.autoscaler, None, autoscaling.autoscaler_status),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): Rules(autoscaling.autoscaler, None, autoscaling.autoscaler_status),
    ("policy/v1", "PodDisruptionBudget"): Rules(policy.disruption_budget, None, policy.disruption_budget_status),
    ("networking.k8s.io/v1", "Ingress"): Rules(
        networking.ingress, networking.ingress_update, networking.ingress_status
    ),
    ("networking.k8s.io/v1", "IngressClass"): Rules(networking.ingress_class, networking.ingress_class_update),
    ("networking.k8s.io/v1", "NetworkPolicy"): Rules(networking.network_policy),
    ("networking.k8s.io/v1", "IPAddress"): Rules(
        networking.ip_address_object, networking.ip_address_update, name=networking.ip_name
    ),
    ("networking.k8s.io/v1", "ServiceCIDR"): Rules(networking.service_cidr, networking.service_cidr_update),
    ("rbac.authorization.k8s.io/v1", "Role"): Rules(rbac.role, name=names.path_segment),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): Rules(rbac.role, name=names.path_segment),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): Rules(rbac.binding, rbac.binding_update, name=names.path_segment),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): Rules(
        rbac.binding, rbac.binding_update, name=names.path_segment
    ),
    ("storage.k8s.io/v1", "StorageClass"): Rules(storage.storage_class, storage.storage_class_update),
    ("storage.k8s.io/v1", "CSIDriver"): Rules(storage.csi_driver),
    ("coordination.k8s.io/v1", "Lease"): Rules(core.lease),
    ("scheduling.k8s.io/v1", "PriorityClass"): Rules(policy.priority_class, policy.priority_class_update),
    ("node.k8s.io/v1", "RuntimeClass"): Rules(policy.runtime_class, policy.runtime_class_update),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): Rules(
        core.signing_request, core.signing_request_update, name=names.path_segment
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): Rules(extensions.definition, extensions.definition_update),
    ("apiregistration.k8s.io/v1", "APIService"): Rules(extensions.api_service, name=names.path_segment),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): Rules(extensions.webhooks),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): Rules(extensions.webhooks),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): Rules(extensions.admission_policy),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): Rules(extensions.policy_binding),
}
SUBRESOURCES: Final[dict[tuple[str, str, str], Update]] = {
    ("v1", "Pod", "ephemeralcontainers"): pods.ephemeral_containers,
    ("v1", "Pod", "resize"): pods.resize,
    ("v1", "Namespace", "finalize"): core.namespace_finalize,
}
NO_RULES: Final = Rules()


# Objects of subresources and reviews: no metadata of their own to check.
NAMELESS: Final[dict[tuple[str, str], Create]] = {
    ("v1", "Binding"): pods.binding,
    ("authentication.k8s.io/v1", "TokenRequest"): core.token_request,
}


def create(obj: Object) -> list[FieldError]:
    """What is wrong with an object that is about to be created; defaults are filled in, its name is generated."""
    key = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if (nameless := NAMELESS.get(key)) is not None:
        return list(nameless(obj))
    rules = RULES.get(key, NO_RULES)
    errors = list(meta.create(obj, rules.name))
    if rules.create is not None:
        errors += rules.create(obj)
    return errors


def update(new: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with an object that is about to replace `old`; parts that are `old`'s own (`is`) are fine."""
    api_version, kind = new.get("apiVersion", ""), new.get("kind", "")
    rules = RULES.get((api_version, kind), NO_RULES)
    errors = list(meta.update(new, old))
    if subresource == "status":
        check = rules.status
    elif subresource:
        check = SUBRESOURCES.get((api_version, kind, subresource))
    else:
        check = rules.update
        if check is None and rules.create is not None and new.get("spec", new) is not old.get("spec", old):
            errors += rules.create(new)
    if check is not None:
        errors += check(new, old)
    return errors
