"""Nobody grants what they do not have: the check on Roles and bindings (pkg/registry/rbac policybased storage).

A user may write a role only with rules that the user holds already, or with the verb "escalate" on it; and bind a
role only whose rules the user holds, or with the verb "bind" on it. system:masters may do both.
"""

from collections.abc import Iterator

from k8s_core.api import Object, errors
from k8s_core.apiserver.authorization import RBAC_GROUP, Authorizer, aggregate
from k8s_core.apiserver.request import Request

ROLES = ("roles", "clusterroles")
LISTS = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")
NAMES = {"apiGroups": "APIGroups", "resources": "Resources", "nonResourceURLs": "NonResourceURLs",
         "resourceNames": "ResourceNames", "verbs": "Verbs"}  # fmt: skip
HOUSEKEEPING = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")
EVERYTHING: list[Object] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


class EscalationCheck:
    """Called for every write; looks at RBAC objects only."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def __call__(self, request: Request, obj: Object | None, old: Object | None) -> None:
        """Refuse with 403 what would grant more than the writer holds."""
        resource, user = request.resource, request.user
        assert resource is not None
        if obj is None or resource.group != RBAC_GROUP or "system:masters" in user.groups:
            return
        if old is not None and _essence(obj) == _essence(old):
            return
        namespace, name = request.namespace, obj["metadata"].get("name", "")
        if resource.name in ROLES:
            if self._may("escalate", resource.name, namespace, name, request):
                return
            rules = obj.get("rules") or []
            if obj.get("aggregationRule") and self._missing(request, EVERYTHING):
                why = "must have cluster-admin privileges to use an aggregationRule"
                raise errors.forbidden(resource, name, why)
        else:
            ref = obj["roleRef"]
            bound = "roles" if ref.get("kind") == "Role" else "clusterroles"
            if self._may("bind", bound, namespace, ref.get("name", ""), request):
                return
            try:
                rules = self._authorizer.role_rules(ref, namespace)
            except LookupError as error:
                raise errors.forbidden(resource, name, str(error)) from None
        if missing := self._missing(request, rules):
            groups = " ".join(f'"{group}"' for group in user.groups)
            listed = "\n".join(sorted({_compact(rule) for rule in _merged(missing)}))
            why = (
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
                f"not currently held:\n{listed}"
            )
            if problems := self._authorizer.rules(user, namespace)[1]:
                why += f"; resolution errors: [{aggregate(problems)}]"
            raise errors.forbidden(resource, name, why)

    def _may(self, verb: str, resource: str, namespace: str, name: str, request: Request) -> bool:
        return self._authorizer.authorize(request.user, verb, RBAC_GROUP, resource, "", namespace, name)[0]

    def _missing(self, request: Request, rules: list[Object]) -> list[Object]:
        held, _ = self._authorizer.rules(request.user, request.namespace)
        return [atom for rule in rules for atom in _atoms(rule) if not any(_covers(own, atom) for own in held)]


def _essence(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in HOUSEKEEPING}
    return {**obj, "metadata": metadata}


def _atoms(rule: Object) -> Iterator[Object]:
    """The rule taken apart into rules of one verb on one thing."""
    for verb in rule.get("verbs") or ():
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                atom = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames")
                yield from ({**atom, "resourceNames": [name]} for name in names) if names else (atom,)
        for url in rule.get("nonResourceURLs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(own: Object, atom: Object) -> bool:
    def among(field: str) -> bool:
        held, wanted = own.get(field) or (), atom[field][0]
        return "*" in held or wanted in held

    if not among("verbs"):
        return False
    if "nonResourceURLs" in atom:
        wanted = atom["nonResourceURLs"][0]
        return among("nonResourceURLs") or any(
            url.endswith("*") and wanted.startswith(url.rstrip("*")) for url in own.get("nonResourceURLs") or ()
        )
    _, slash, sub = atom["resources"][0].partition("/")
    resource = among("resources") or bool(slash and f"*/{sub}" in (own.get("resources") or ()))
    limited, wanted_names = own.get("resourceNames"), atom.get("resourceNames") or ()
    named = not limited or bool(wanted_names and wanted_names[0] in limited)
    return among("apiGroups") and resource and named


def _merged(atoms: list[Object]) -> list[Object]:
    """Atoms for the same thing as one rule with all their verbs (validation.CompactRules)."""
    simple: dict[tuple[str, str], Object] = {}
    merged: list[Object] = []
    for atom in atoms:
        if "resources" not in atom or "resourceNames" in atom:
            merged.append(atom)
            continue
        key = (atom["apiGroups"][0], atom["resources"][0])
        if key in simple:
            simple[key]["verbs"] = list(dict.fromkeys([*simple[key]["verbs"], *atom["verbs"]]))
        else:
            simple[key] = {**atom}
            merged.append(simple[key])
    return merged


def _compact(rule: Object) -> str:
    """The rule as Go prints it in this message (rbac/v1 CompactString)."""
    parts = []
    for field in LISTS:
        if values := rule.get(field):
            quoted = " ".join(f'"{value}"' for value in values)
            parts.append(f"{NAMES[field]}:[{quoted}]")
    return "{" + ", ".join(parts) + "}"
