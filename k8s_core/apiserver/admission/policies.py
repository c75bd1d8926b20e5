"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules in CEL that a cluster's administrator adds.

A policy does nothing without a binding; a binding may give it parameters. Stands for apiserver's
admission/plugin/policy. Mutations: `Object{...}` is a map, merged as server-side apply does; JSONPatch is a list of
operations. (controllers/policystatus.py reads policies against the kinds they are about.)
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from k8s_core.api import Object, cel, errors, patch, typed
from k8s_core.api.schema import Type
from k8s_core.api.selectors import from_label_selector
from k8s_core.apiserver.admission.matching import ABOUT_ITSELF, VARIABLES, about, conditions_hold, matches, namespace_of
from k8s_core.apiserver.admission.permissions import asked_of
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, UPDATE, Plugin, forbidden, take
from k8s_core.apiserver.admission.reinvocation import Reinvocation
from k8s_core.apiserver.request import Request

GROUP = "admissionregistration.k8s.io"
CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


class _Policies(Plugin):
    """What both kinds share: finding what applies, with its parameters."""

    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE, DELETE})
    plural: ClassVar[str]

    def applying(
        self, request: Request, obj: Object | None, old: Object | None
    ) -> Iterator[tuple[Object, Object, Object]]:
        """(policy, binding, the values that expressions see) for everything that is about the request."""
        bindings = self.reader.list(f"{self.plural.removesuffix('ies')}ybindings.{GROUP}")
        if not bindings or request.resource is None or request.resource.group_resource in ABOUT_ITSELF:
            return
        policies = {each["metadata"]["name"]: each for each in self.reader.list(f"{self.plural}.{GROUP}")}
        for binding in bindings:
            policy = policies.get(binding["spec"].get("policyName", ""))
            if policy is None or not matches(
                policy["spec"].get("matchConstraints") or {"rules": []}, request, obj, old, self.reader
            ):
                continue
            if not matches(binding["spec"].get("matchResources") or {}, request, obj, old, self.reader):
                continue
            for params in self._parameters(request, policy, binding):
                values: Object = {
                    "object": obj,
                    "oldObject": old,
                    "request": about(request, obj, old),
                    "params": params,
                }
                values["namespaceObject"] = namespace_of(request, self.reader)
                values["authorizer"] = asked_of(self.authorizer, request)
                if self._wanted(request, policy, values):
                    values["variables"] = _variables(policy, values)
                    yield policy, binding, values

    def _wanted(self, request: Request, policy: Object, values: Object) -> bool:
        try:
            return conditions_hold(policy["spec"].get("matchConditions") or (), values)
        except cel.CelError as error:
            if policy["spec"].get("failurePolicy") == "Ignore":
                return False
            name = policy["metadata"]["name"]
            raise forbidden(request, values["object"], f"policy '{name}' denied request: {error}") from None

    def _parameters(self, request: Request, policy: Object, binding: Object) -> list[Object | None]:
        kind, ref = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
        if not kind or not ref:
            return [None]
        group, _, version = kind["apiVersion"].rpartition("/")
        resource = self.reader.resource_of(group, version, kind["kind"])
        found: list[Object] = []
        if resource is not None:
            space = (ref.get("namespace") or request.namespace) if resource.namespaced else ""
            found = self.reader.list(resource.group_resource, space)
            if ref.get("name"):
                found = [each for each in found if each["metadata"]["name"] == ref["name"]]
            elif ref.get("selector") is not None:
                selector = from_label_selector(ref["selector"])
                found = [each for each in found if selector.matches(each["metadata"].get("labels") or {})]
        if not found and ref.get("parameterNotFoundAction") == "Deny":
            who = f"policy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
            why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
            raise forbidden(request, None, f"{who} denied request: {why}")
        return list(found)


def _variables(policy: Object, values: Object) -> Object:
    """Each variable sees those before it; one that cannot be evaluated is not there."""
    found: Object = {}
    for each in policy["spec"].get("variables") or ():
        try:
            found[each["name"]] = cel.compiled(each["expression"], VARIABLES)({**values, "variables": found})
        except cel.CelError:
            continue
    return found


class ValidatingAdmissionPolicy(_Policies):
    name: ClassVar[str] = "ValidatingAdmissionPolicy"
    plural: ClassVar[str] = "validatingadmissionpolicies"

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        for policy, binding, values in self.applying(request, obj, old):
            for validation in policy["spec"].get("validations") or ():
                words = _judge(validation, values, policy["spec"].get("failurePolicy", "Fail"))
                if words:
                    self._act(request, obj, policy, binding, validation, words)

    def _act(
        self, request: Request, obj: Object | None, policy: Object, binding: Object, validation: Object, words: str
    ) -> None:
        who = f"'{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
        actions = binding["spec"].get("validationActions") or ("Deny",)
        if "Warn" in actions:
            request.warnings.append(f"Validation failed for ValidatingAdmissionPolicy {who}: {words}")
        if "Audit" in actions:
            request.note("audit-violations", f"ValidatingAdmissionPolicy {who}: {words}")
        if "Deny" in actions:
            text = f"ValidatingAdmissionPolicy {who} denied request: {words}"
            error = forbidden(request, obj, text, [{"message": text}])
            reason = validation.get("reason") or "Invalid"
            raise errors.StatusError(
                CODES.get(reason, 422), reason, error.status["message"], error.status.get("details") or {}
            )


def _judge(validation: Object, values: Object, failure_policy: str) -> str:
    """What a validation says against the request; "" if nothing."""
    source = validation["expression"]
    try:
        if cel.compiled(source, VARIABLES)(values) is True:
            return ""
    except cel.CelError as error:
        text = str(error)
        if failure_policy == "Ignore":
            return ""
        return text if text.startswith("compilation") else f"expression '{source}' resulted in error: {text}"
    if validation.get("messageExpression"):
        try:
            found = cel.compiled(validation["messageExpression"], VARIABLES)(values)
            if isinstance(found, str) and found.strip() and "\n" not in found:
                return found.strip()
        except cel.CelError:
            pass  # the message, or the default, takes its place
    return str(validation.get("message") or "").strip() or f"failed expression: {source.strip()}"


class MutatingAdmissionPolicy(_Policies):
    name: ClassVar[str] = "MutatingAdmissionPolicy"
    plural: ClassVar[str] = "mutatingadmissionpolicies"
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and request.resource is not None
        again = request.reinvocation or Reinvocation()
        again.begin(self.name, obj)
        type = None
        for policy, binding, values in self.applying(request, obj, old):
            key = f"{policy['metadata']['name']}/{binding['metadata']['name']}/{_name_of(values['params'])}"
            if again.skips(self.name, key):
                continue
            changed = False
            type = type or self.reader.type_of(request.resource)
            for mutation in policy["spec"].get("mutations") or ():
                try:
                    changed = take(obj, _mutated(mutation, obj, values, type)) or changed
                except (cel.CelError, errors.StatusError) as error:
                    if policy["spec"].get("failurePolicy") == "Ignore":
                        continue
                    text = f"policy '{policy['metadata']['name']}' denied request: {error}"
                    raise forbidden(request, obj, text) from None
            again.asked(self.name, key, policy["spec"].get("reinvocationPolicy"), changed=changed)
        again.end(self.name, obj)


def _name_of(params: Object | None) -> str:
    return f"{params['metadata'].get('namespace', '')}/{params['metadata']['name']}" if params else ""


def _mutated(mutation: Object, obj: Object, values: Object, type: Type) -> Object:
    kind = "applyConfiguration" if mutation.get("patchType") == "ApplyConfiguration" else "jsonPatch"
    found = cel.compiled(mutation[kind]["expression"], VARIABLES)(values)
    if kind == "jsonPatch":
        return patch.apply("json", obj, found, None)
    wanted = typed.without_nulls(found)
    if (problem := typed.validate(wanted, type)) or (problem := _replaced(wanted, type)):
        raise cel.CelError(f"error applying patch: invalid ApplyConfiguration: {problem}")
    merged: Object = typed.merge(obj, wanted, type)
    return merged


def _replaced(wanted: Any, type: Type) -> str:
    """What a configuration would replace as a whole, and so lose what it does not name: it must not."""
    places = sorted(_atomic(wanted, type, ""))
    return f"may not mutate atomic arrays, maps or structs: {', '.join(places)}" if places else ""


def _atomic(value: Any, type: Type | None, path: str) -> Iterator[str]:
    if type is None or not isinstance(value, dict | list):
        return
    if type.list_type == "atomic" or type.map_type == "atomic":
        yield path
    elif isinstance(value, list):
        for each in value:
            yield from _atomic(each, type.items, path)
    else:
        for name, each in value.items():
            yield from _atomic(each, type.items if type.kind == "map" else type.fields.get(name), f"{path}.{name}")
