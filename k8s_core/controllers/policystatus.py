"""The controller that reads ValidatingAdmissionPolicies against the kinds they are about, and notes what cannot work.

A policy that selects a field no Deployment has would refuse every Deployment; its status says so before one comes.
Only rules that name their groups, versions and resources are looked at. Stands for
pkg/controller/validatingadmissionpolicystatus and the type checker of apiserver's policy plugin.
Leaves out: types that do not fit each other, and the variables that a policy makes for itself.
"""

from collections.abc import Iterator
from itertools import islice, product

from k8s_core.api import Object, cel
from k8s_core.api.cel import schemas
from k8s_core.api.resources import Resource
from k8s_core.controllers.controller import Controller

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
MOST_KINDS = 10
"""Kinds that one policy is read against; the others of a longer list are not."""


class PolicyStatusController(Controller):
    name = "validatingadmissionpolicy-status-controller"
    account = "validatingadmissionpolicy-status-controller"

    def setup(self) -> None:
        self.policies = self.informer(POLICIES, changed=self.enqueue)

    def sync(self, key: str) -> None:
        policy = self.policies.get(key)
        if policy is None:
            return
        generation = policy["metadata"]["generation"]
        if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
            return
        warnings = list(self._warnings(policy["spec"]))
        checked = {"expressionWarnings": warnings} if warnings else {}
        status = {**(policy.get("status") or {}), "observedGeneration": generation, "typeChecking": checked}
        self.client.update_status(POLICIES, {**policy, "status": status})

    def _warnings(self, spec: Object) -> Iterator[Object]:
        kinds = list(islice(self._kinds(spec), MOST_KINDS))
        params = self._parameters(spec)
        for index, validation in enumerate(spec.get("validations") or ()):
            for field in ("expression", "messageExpression"):
                found = [self._read(validation.get(field, ""), kind, params) for kind in kinds]
                if any(found):
                    place = f"spec.validations[{index}].{field}"
                    yield {"fieldRef": place, "warning": "\n".join(text for text in found if text)}

    def _kinds(self, spec: Object) -> Iterator[Resource]:
        """What the rules are about, as far as they name it."""
        seen: list[Resource] = []
        for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
            parts = [sorted(rule.get(each) or ()) for each in ("apiGroups", "apiVersions", "resources")]
            if any("*" in part for part in parts):
                continue
            for group, version, name in product(*parts):
                found = self.client.resources.get(group, version, name)
                if found and found not in seen:
                    seen.append(found)
        yield from sorted(seen, key=lambda each: (each.group, each.version, each.kind))

    def _parameters(self, spec: Object) -> schemas.Schema | None:
        kind = spec.get("paramKind")
        if not kind:
            return None
        group, _, version = kind["apiVersion"].rpartition("/")
        found = self.client.resources.by_kind(group, version, kind["kind"])
        return self._schema_of(found) if found else None

    def _read(self, source: str, kind: Resource, params: schemas.Schema | None) -> str:
        """What is wrong with an expression about a kind, as a type checker would put it; "" for nothing."""
        shape = self._schema_of(kind)
        try:
            found = list(schemas.undefined_fields(source, {"object": shape, "oldObject": shape, "params": params}))
        except cel.CelError:
            return ""  # refused already when it was written
        listed = "\n".join(str(each).removeprefix("compilation failed: ") for each in found)
        return f"{kind.group + '/' if kind.group else ''}{kind.version}, Kind={kind.kind}: {listed}\n" if found else ""

    def _schema_of(self, kind: Resource) -> schemas.Schema | None:
        try:
            return schemas.declared(self.client.type_of(kind))
        except KeyError:
            return None  # a kind that is only served, such as PodMetrics
