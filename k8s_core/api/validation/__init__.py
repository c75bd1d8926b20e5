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
from k8s_core.api.validation import endpoints, meta, pods, services, workloads
from k8s_core.api.validation.common import NameCheck

Create = Callable[[Object], Iterator[FieldError]]
Update = Callable[[Object, Object], Iterator[FieldError]]


class Rules(NamedTuple):
    """How one kind is validated beyond its metadata; an update without a rule of its own is a creation again."""

    create: Create | None = None
    update: Update | None = None
    status: Update | None = None
    name: NameCheck = names.dns1123_subdomain


RULES: Final[dict[tuple[str, str], Rules]] = {
    ("v1", "Pod"): Rules(pods.create, pods.update, pods.status),
    ("v1", "PodTemplate"): Rules(pods.pod_template, pods.pod_template_update),
    ("v1", "Service"): Rules(services.service, services.service_update, services.service_status, names.dns1123_label),
    ("v1", "Endpoints"): Rules(endpoints.endpoints, endpoints.endpoints_update),
    ("discovery.k8s.io/v1", "EndpointSlice"): Rules(endpoints.endpoint_slice, endpoints.endpoint_slice_update),
    ("v1", "ReplicationController"): Rules(workloads.replication_controller, None, workloads.status),
    ("apps/v1", "ReplicaSet"): Rules(workloads.replica_set, workloads.replica_set_update, workloads.status),
    ("apps/v1", "Deployment"): Rules(workloads.deployment, workloads.deployment_update, workloads.status),
    ("apps/v1", "DaemonSet"): Rules(workloads.daemon_set, workloads.daemon_set_update, workloads.status),
    ("apps/v1", "StatefulSet"): Rules(
        workloads.stateful_set, workloads.stateful_set_update, workloads.status, names.dns1123_label
    ),
    ("apps/v1", "ControllerRevision"): Rules(workloads.controller_revision, workloads.controller_revision_update),
    ("autoscaling/v1", "Scale"): Rules(workloads.scale),
}
SUBRESOURCES: Final[dict[tuple[str, str, str], Update]] = {
    ("v1", "Pod", "ephemeralcontainers"): pods.ephemeral_containers,
    ("v1", "Pod", "resize"): pods.resize,
}
NO_RULES: Final = Rules()


def create(obj: Object) -> list[FieldError]:
    """What is wrong with an object that is about to be created; defaults are filled in, its name is generated."""
    rules = RULES.get((obj.get("apiVersion", ""), obj.get("kind", "")), NO_RULES)
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
