"""What differs from kind to kind when an object is created, changed or deleted (pkg/registry/*/strategy.go).

Mostly tables: which kinds count generations, what an empty status looks like, what a status update may touch. The
few hooks below are the rest. Everything here works on a private copy of the object that is on its way in.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.validation.pods import qos_class

if TYPE_CHECKING:
    from k8s_core.apiserver.request import Request

# Kinds whose metadata.generation counts changes of the desired state.
GENERATION = {
    "pods", "replicationcontrollers", "deployments.apps", "replicasets.apps", "daemonsets.apps", "statefulsets.apps",
    "jobs.batch", "cronjobs.batch", "poddisruptionbudgets.policy", "ingresses.networking.k8s.io",
    "networkpolicies.networking.k8s.io", "endpointslices.discovery.k8s.io", "ingressclasses.networking.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "priorityclasses.scheduling.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "podtemplates",
}  # fmt: skip

# The status of a new object: the fields that a typed server always writes.
EMPTY_STATUS: dict[str, Object | None] = {
    "replicationcontrollers": {"replicas": 0},
    "replicasets.apps": {"replicas": 0},
    "statefulsets.apps": {"availableReplicas": 0, "replicas": 0},
    "daemonsets.apps": {
        "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
    },
    "poddisruptionbudgets.policy": {
        "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
    },
    "horizontalpodautoscalers.autoscaling": {"currentMetrics": None, "desiredReplicas": 0},
    "services": {"loadBalancer": {}},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "namespaces": {"phase": "Active"},
    "persistentvolumes": {"phase": "Pending"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "nodes": None,  # a node reports its own
}  # fmt: skip

# PUT may create these (AllowCreateOnUpdate).
CREATE_ON_UPDATE = {
    "services", "endpoints", "events", "limitranges", "podtemplates", "leases.coordination.k8s.io",
    "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "runtimeclasses.node.k8s.io",
    "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
}  # fmt: skip

# PUT must say which version it replaces (AllowUnconditionalUpdate is false).
NEEDS_REVISION = {
    "leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io", "poddisruptionbudgets.policy",
    "apiservices.apiregistration.k8s.io", "controllerrevisions.apps",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
}  # fmt: skip

CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
# Deleting these waits for somebody.
DELETION_FINALIZER = {"customresourcedefinitions.apiextensions.k8s.io": CRD_CLEANUP}

# Deleting these orphans what they own unless the client says otherwise.
ORPHAN_BY_DEFAULT = {"replicationcontrollers", "jobs.batch"}
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
FINALIZER_OF_POLICY = {"Orphan": ORPHAN, "Foreground": FOREGROUND}


def _create_pod(obj: Object, request: "Request") -> None:
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    if obj["spec"].get("schedulingGates"):
        gated: Object = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
        gated |= {"message": "Scheduling is blocked due to non-empty scheduling gates", "observedGeneration": 1}
        obj["status"]["conditions"] = [{**gated, "lastProbeTime": None, "lastTransitionTime": None}]
    spec, labels = obj["spec"], obj["metadata"].get("labels") or {}
    for kind in ("podAffinity", "podAntiAffinity") if spec.get("affinity") else ():
        rules = spec["affinity"].get(kind) or {}
        for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            _apply_label_keys(term, labels)
        for preferred in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            _apply_label_keys(preferred["podAffinityTerm"], labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _apply_label_keys(constraint, labels)


def _apply_label_keys(term: Object, labels: Object) -> None:
    """matchLabelKeys and mismatchLabelKeys become part of the selector, by the labels that the Pod has now."""
    selector = term.get("labelSelector")
    found = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for keys, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(keys) or ()
        if key in labels
    ]
    if selector is not None and found:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *found]


def _create_namespace(obj: Object, request: "Request") -> None:
    finalizers = (obj.get("spec") or {}).get("finalizers") or []
    obj["spec"] = {"finalizers": finalizers if "kubernetes" in finalizers else [*finalizers, "kubernetes"]}


def _create_definition(obj: Object, request: "Request") -> None:
    stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
    names = {"kind": "", "plural": ""}
    obj["status"] = {"acceptedNames": names, "conditions": None, "storedVersions": stored}


def _create_csr(obj: Object, request: "Request") -> None:
    user = request.user
    obj["spec"] = {**obj.get("spec", {}), "username": user.name, "groups": list(user.groups)}
    for name, value in (("uid", user.uid), ("extra", user.extra)):
        obj["spec"].pop(name, None)
        if value:
            obj["spec"][name] = value


def _create_job(obj: Object, request: "Request") -> None:
    """A job without a selector of its own gets one by its uid, and its Pods the labels for it."""
    spec, uid = obj["spec"], obj["metadata"]["uid"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    name = obj["metadata"].get("name", "")  # without one it is refused later
    labels |= {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    labels |= {"controller-uid": uid, "job-name": name}


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _count_template(meta: Object, was: Object) -> None:
    """How often a DaemonSet's template changed, in the annotation where the old field went."""
    last = int((was.get("annotations") or {}).get(TEMPLATE_GENERATION, 1))
    meta["annotations"] = {**(meta.get("annotations") or {}), TEMPLATE_GENERATION: str(last + 1)}


def _create_daemonset(obj: Object, request: "Request") -> None:
    obj["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = "1"


PREPARE_CREATE: dict[str, Callable[[Object, "Request"], None]] = {
    "pods": _create_pod,
    "namespaces": _create_namespace,
    "certificatesigningrequests.certificates.k8s.io": _create_csr,
    "jobs.batch": _create_job,
    "daemonsets.apps": _create_daemonset,
    "customresourcedefinitions.apiextensions.k8s.io": _create_definition,
}


def prepare_create(resource: str, obj: Object, request: "Request", *, with_status: bool) -> None:
    """Drop what a client may not set, give the first generation, start the status."""
    meta = obj["metadata"]
    meta.pop("deletionTimestamp", None)
    meta.pop("deletionGracePeriodSeconds", None)
    meta.pop("generation", None)
    custom = request.resource is not None and request.resource.custom is not None
    if resource in GENERATION or custom:
        meta["generation"] = 1
    if with_status:
        empty = EMPTY_STATUS.get(resource, {})
        if custom:
            obj.pop("status", None)
        elif empty is not None:
            obj["status"] = {**empty}
    hook = PREPARE_CREATE.get(resource)
    if hook:
        hook(obj, request)


# What of its spec a Pod's other subresources may change.
POD_SPEC_PARTS = {"ephemeralcontainers": ("ephemeralContainers",), "resize": ("containers", "initContainers")}
RESIZABLE = ("resources", "resizePolicy")
SYSTEM_META = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def prepare_update(
    resource: str, new: Object, old: Object, subresource: str, *, with_status: bool, custom: bool = False
) -> None:
    """Keep what this way of writing may not touch, and count a generation if the desired state changed."""
    meta, was = new["metadata"], old["metadata"]
    for name in SYSTEM_META:
        if name in was:
            meta[name] = was[name]
        else:
            meta.pop(name, None)
    if subresource == "status":
        for part in [part for part in new if part not in ("apiVersion", "kind", "metadata", "status")]:
            del new[part]
        new |= {part: value for part, value in old.items() if part not in ("apiVersion", "kind", "metadata", "status")}
        if resource.endswith((".apps", "pods")):
            _keep(meta, was, "ownerReferences" if resource == "pods" else "labels")
    elif resource == "pods" and subresource in POD_SPEC_PARTS:
        given, spec = new.get("spec", {}), old["spec"]
        wanted = {part: given.get(part) for part in POD_SPEC_PARTS[subresource] if part in given or part in spec}
        if subresource == "resize":
            wanted = {part: _resized(containers or [], spec.get(part) or []) for part, containers in wanted.items()}
        new |= {"spec": {**spec, **wanted}, "status": old.get("status", {})}
        if new["spec"] != old["spec"]:
            meta["generation"] = was.get("generation", 0) + 1
    elif subresource == "approval":
        new |= {"spec": old["spec"], "status": {**old.get("status", {}), **_approval(new)}}
    else:
        if with_status:
            _keep(new, old, "status")
        desired = (resource in GENERATION or custom) and _desired(new) != _desired(old)
        if custom and not with_status and new.get("status") != old.get("status"):
            desired = True
        # A Deployment hands its annotations down to its ReplicaSets: they are part of what is desired.
        if desired or (resource == "deployments.apps" and meta.get("annotations") != was.get("annotations")):
            meta["generation"] = was.get("generation", 0) + 1
        if resource == "daemonsets.apps" and new["spec"]["template"] != old["spec"]["template"]:
            _count_template(meta, was)
    if resource == "namespaces" and subresource != "finalize":
        _keep(new, old, "spec")


def _resized(new: list[Object], old: list[Object]) -> list[Object]:
    """The containers with the sizes that are wanted; other changes are dropped, but not other containers."""
    if [c.get("name") for c in new] != [c["name"] for c in old]:
        return new
    return [
        {**{k: v for k, v in was.items() if k not in RESIZABLE}, **{k: c[k] for k in RESIZABLE if k in c}}
        for c, was in zip(new, old, strict=True)
    ]


def _approval(csr: Object) -> Object:
    conditions = csr.get("status", {}).get("conditions")
    return {"conditions": conditions} if conditions else {}


def _keep(new: Object, old: Object, part: str) -> None:
    if part in old:
        new[part] = old[part]
    else:
        new.pop(part, None)


def _desired(obj: Object) -> Object:
    return {part: value for part, value in obj.items() if part not in ("metadata", "status", "apiVersion", "kind")}


def orphans_unasked(resource: str, options: Object) -> bool:
    """Whether a deletion leaves a Job's Pods only because nobody said what to do with them."""
    return resource == "jobs.batch" and not {"propagationPolicy", "orphanDependents"} & set(options)


def deletion_finalizers(resource: str, have: list[str], options: Object) -> list[str]:
    """Finalizers after a delete with these options (store.go deletionFinalizersForGarbageCollection)."""
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        if any(name in (ORPHAN, FOREGROUND) for name in have):
            return have
        policy = "Orphan" if resource in ORPHAN_BY_DEFAULT else "Background"
    rest = [name for name in have if name not in (ORPHAN, FOREGROUND)]
    added = (DELETION_FINALIZER.get(resource), FINALIZER_OF_POLICY.get(policy))
    return rest + [name for name in added if name and name not in rest]


def graceful_seconds(resource: str, obj: Object, asked: int | None) -> int:
    """How long a deletion may take: only Pods that run somewhere are given time (podStrategy.CheckGracefulDelete)."""
    if resource != "pods":
        return 0
    spec, status = obj["spec"], obj.get("status", {})
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 0)
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if period < 0 else int(period)
