"""Which requests a webhook or an admission policy is about: rules, selectors, conditions in CEL.

Stands for apiserver's admission/plugin/webhook/predicates and matchconditions. matchPolicy makes no difference here:
a kind that is served in several versions is shown in the one that the request used.
"""

from collections.abc import Iterable
from typing import Any, Final

from k8s_core.api import Object, cel
from k8s_core.api.selectors import from_label_selector
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Request

OPERATIONS: Final = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
ABOUT_ITSELF: Final = frozenset(
    f"{name}.admissionregistration.k8s.io"
    for name in (
        "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
        "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
    )
)  # fmt: skip
"""Never shown to webhooks and policies, so that a broken one can be taken away."""
VARIABLES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables", "authorizer")


def operation(obj: Object | None, old: Object | None) -> str:
    return "DELETE" if obj is None else "CREATE" if old is None else "UPDATE"


def matches(constraints: Object, request: Request, obj: Object | None, old: Object | None, reader: Reader) -> bool:
    """Whether rules (of a webhook, or matchConstraints of a policy) and selectors let a request through."""
    rules = constraints.get("rules", constraints.get("resourceRules"))
    what = operation(obj, old)
    if rules is not None and not any(_rule(rule, request, what) for rule in rules):
        return False
    if any(_rule(rule, request, what) for rule in constraints.get("excludeResourceRules") or ()):
        return False
    selector = constraints.get("objectSelector")
    if selector and not any(_selects(selector, each) for each in (obj, old) if each):
        return False
    selector = constraints.get("namespaceSelector")
    return not selector or _in_namespace(selector, request, obj, reader)


def _rule(rule: Object, request: Request, what: str) -> bool:
    resource = request.resource
    assert resource is not None

    def among(name: str, value: str) -> bool:
        return value in (rule.get(name) or ()) or "*" in (rule.get(name) or ())

    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") is not bool(request.namespace and resource.namespaced):
        return False
    if not (among("apiGroups", resource.group) and among("apiVersions", resource.version)):
        return False
    if not among("operations", what) or (rule.get("resourceNames") and request.name not in rule["resourceNames"]):
        return False
    return any(_resource(each, resource.name, request.subresource) for each in rule.get("resources") or ())


def _resource(pattern: str, name: str, subresource: str) -> bool:
    want, _, below = pattern.partition("/")
    return want in ("*", name) and (below in (subresource, "*"))


def _selects(selector: Object, obj: Object) -> bool:
    return from_label_selector(selector).matches(obj["metadata"].get("labels") or {})


def _in_namespace(selector: Object, request: Request, obj: Object | None, reader: Reader) -> bool:
    resource = request.resource
    assert resource is not None
    if resource.group_resource == "namespaces":
        return obj is None or _selects(selector, obj)
    namespace = namespace_of(request, reader) if resource.namespaced else None
    return namespace is None or _selects(selector, namespace)


def namespace_of(request: Request, reader: Reader) -> Object | None:
    """The namespace that a request is in, as it is stored."""
    found = [each for each in reader.list("namespaces") if each["metadata"]["name"] == request.namespace]
    return found[0] if found and request.resource and request.resource.namespaced else None


def about(request: Request, obj: Object | None, old: Object | None) -> Object:
    """The request as an AdmissionReview or an expression sees it."""
    resource, user = request.resource, request.user
    assert resource is not None
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.name}
    told: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        told["uid"] = user.uid
    if user.extra:
        told["extra"] = user.extra
    found: Object = {
        "kind": kind,
        "resource": plural,
        "requestKind": kind,
        "requestResource": plural,
        "name": request.name,
        "operation": operation(obj, old),
        "userInfo": told,
        "dryRun": request.dry_run,
    }
    if request.subresource:
        found |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    if resource.namespaced:
        found["namespace"] = request.namespace
    return found


def conditions_hold(conditions: Iterable[Object], values: Object) -> bool:
    """Whether every matchCondition is true; CelError if one cannot be evaluated and none is false."""
    problem: cel.CelError | None = None
    for condition in conditions:
        try:
            if cel.compiled(condition["expression"], VARIABLES)(values) is not True:
                return False
        except cel.CelError as error:
            problem = error
    if problem:
        raise problem
    return True
