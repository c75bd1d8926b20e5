"""How much of a ResourceQuota an object uses, and which objects a quota is about.

Shared by the admission plugin that refuses and the controller that counts. Promises upstream's resource names,
scopes and charges; amounts keep the notation of what they were made of. Stands for pkg/quota/v1/evaluator.
Left out: ResourceClaims, and charging the larger of request and actual size when a Pod is resized.
"""

from collections.abc import Iterable, Iterator, Mapping

from k8s_core.api import Object
from k8s_core.api.quantity import Quantity, parse
from k8s_core.api.validation.pods import qos_class

Amounts = dict[str, Quantity]
ONE = Quantity(10**9)
PODS, SERVICES, CLAIMS = "pods", "services", "persistentvolumeclaims"
COUNTED_PLAINLY = {PODS, SERVICES, CLAIMS, "replicationcontrollers", "resourcequotas", "secrets", "configmaps"}
"""Resources that have a quota name of their own besides count/<resource>."""
COMPUTE = ("cpu", "memory", "ephemeral-storage")
STORAGE_CLASS = ".storageclass.storage.k8s.io/"


def add(amounts: Iterable[Mapping[str, Quantity]]) -> Amounts:
    """The sum, name by name; written as the first that is not zero is."""
    total: Amounts = {}
    for each in amounts:
        for name, amount in each.items():
            had = total.get(name)
            style = amount.format if had is None or not had.nanos else had.format
            total[name] = Quantity((had.nanos if had else 0) + amount.nanos, style)
    return total


def pretty(amounts: Mapping[str, object]) -> str:
    """Amounts as error messages list them: "cpu=1,pods=2"."""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))


# --- usage --------------------------------------------------------------------------------------------------------
def usage(resource: str, obj: Object) -> Amounts:
    """What the object counts for; `resource` is "pods" or "deployments.apps"."""
    if resource == PODS and _is_over(obj):
        return {}
    found: Amounts = {f"count/{resource}": ONE}
    if resource in COUNTED_PLAINLY:
        found[resource] = ONE
    if resource == PODS:
        found |= _pod(obj["spec"])
    elif resource == SERVICES:
        found |= _service(obj["spec"])
    elif resource == CLAIMS:
        found |= _claim(obj)
    return found


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _pod(spec: Object) -> Amounts:
    found: Amounts = {}
    for kind in ("requests", "limits"):
        for name, amount in pod_total(spec, kind).items():
            if name in COMPUTE:
                found[f"{kind}.{name}"] = amount
                if kind == "requests":
                    found[name] = amount
            elif name.startswith("hugepages-") or "/" in name:
                if kind == "requests":
                    found[f"requests.{name}"] = amount
                if kind == "requests" and name.startswith("hugepages-"):
                    found[name] = amount
    return found


def pod_total(spec: Object, kind: str) -> Amounts:
    """A Pod's "requests" or "limits": its containers' together, or its largest init container's; and the overhead."""
    init = spec.get("initContainers") or ()
    sidecars = [each for each in init if each.get("restartPolicy") == "Always"]
    total = add(_amounts(each, kind) for each in [*(spec.get("containers") or ()), *sidecars])
    for each in init:
        for name, amount in _amounts(each, kind).items():
            if name not in total or amount.nanos > total[name].nanos:
                total[name] = amount
    return add([total, parsed(spec.get("overhead"))]) if total else total


def _amounts(container: Object, kind: str) -> Amounts:
    return parsed((container.get("resources") or {}).get(kind))


def parsed(values: Mapping[str, str] | None) -> Amounts:
    """A resource list with its quantities read."""
    return {name: parse(text) for name, text in (values or {}).items()}


def _service(spec: Object) -> Amounts:
    found: Amounts = {"services.nodeports": Quantity(0), "services.loadbalancers": Quantity(0)}
    kind = spec.get("type", "ClusterIP")
    ports = Quantity(len(spec.get("ports") or ()) * ONE.nanos)
    if kind == "LoadBalancer":
        found["services.loadbalancers"] = ONE
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        found["services.nodeports"] = ports
    return found


def _claim(claim: Object) -> Amounts:
    spec = claim["spec"]
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    found: Amounts = {"requests.storage": parse(size)} if size else {}
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName")
    if name:
        found[f"{name}{STORAGE_CLASS}{CLAIMS}"] = ONE
        if size:
            found[f"{name}{STORAGE_CLASS}requests.storage"] = parse(size)
    return found


# --- which quotas -------------------------------------------------------------------------------------------------
def hard(quota: Object) -> Amounts:
    """The quota's limits, parsed."""
    return parsed((quota.get("spec") or {}).get("hard"))


def resource_of(name: str) -> str:
    """The resource whose objects use the quota name: "pods" for "requests.cpu", "jobs.batch" for its count."""
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name in COUNTED_PLAINLY:
        return name
    if name.startswith("services."):
        return SERVICES
    if name == "requests.storage" or STORAGE_CLASS in name:
        return CLAIMS
    return PODS


def matches(quota: Object, resource: str, obj: Object) -> bool:
    """Whether the object is in the quota's scopes and uses anything that it limits."""
    spec = quota.get("spec") or {}
    if all(resource_of(name) != resource for name in spec.get("hard") or ()):
        return False
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return all(resource == PODS and _in_scope(term, obj["spec"]) for term in terms)


def _in_scope(term: Object, spec: Object) -> bool:
    match term["scopeName"]:
        case "Terminating":
            return (spec.get("activeDeadlineSeconds") or -1) >= 0
        case "NotTerminating":
            return (spec.get("activeDeadlineSeconds") or -1) < 0
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "CrossNamespacePodAffinity":
            return any(term.get("namespaces") or "namespaceSelector" in term for term in affinity_terms(spec))
        case "PriorityClass":
            name, values = spec.get("priorityClassName", ""), term.get("values") or ()
            operator = term["operator"]
            if operator in ("Exists", "DoesNotExist"):
                return bool(bool(name) == (operator == "Exists"))
            return bool((name in values) == (operator == "In"))
    return False


def affinity_terms(spec: Object) -> Iterator[Object]:
    """Every PodAffinityTerm of a Pod."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for each in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield each["podAffinityTerm"]


def unspecified(quota: Object, resource: str, obj: Object) -> str:
    """Which compute resources the quota wants every container to state and some do not; "" if none."""
    if resource != PODS:
        return ""
    spec = obj["spec"]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    missing: dict[str, list[str]] = {}
    for name in hard(quota):
        kind, dot, plain = name.partition(".")
        if not dot:
            kind, plain = "requests", name
        if kind not in ("requests", "limits") or plain not in COMPUTE:
            continue
        if lacking := [each["name"] for each in containers if plain not in _amounts(each, kind)]:
            missing[name] = lacking
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))
