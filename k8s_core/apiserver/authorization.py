"""Who may do what: kube-apiserver's `--authorization-mode`, by default Node,RBAC, with its words for why not.

Promises: RBAC's whole semantics (wildcards, resourceNames, non-resource URLs, bindings in both scopes, missing
roles), the superuser group system:masters, the node authorizer (node_authorizer.py), and that a decision taken
before is one dict look-up until an RBAC object changes. ClusterRole aggregation is a controller's work, as
upstream; rules here are the roles' own.
Left out: webhook authorizers, `kubectl auth reconcile`'s server side (there is none) and selectors in rules.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from k8s_core.api import Object, errors
from k8s_core.apiserver.node_authorizer import NodeAuthorizer
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Asked, User

RBAC_GROUP = "rbac.authorization.k8s.io"
MAX_DECISIONS = 50_000  # names come from clients: the cache may not grow without end


class Grant(NamedTuple):
    """One binding, as it applies to one of its subjects."""

    order: int  # of the binding
    position: int  # of the subject in it
    namespace: str  # "" grants everywhere
    description: str
    rules: list[Object]
    error: str


class Decision(NamedTuple):
    """An answer for every name; `names` holds the reasons where a rule's resourceNames grant more."""

    allowed: bool
    reason: str
    names: dict[str, str]


class Authorizer:
    """Decides requests. Whoever stores RBAC objects calls `invalidate` after a change."""

    def __init__(
        self, reader: Reader, nodes: NodeAuthorizer | None = None, modes: Sequence[str] = ("Node", "RBAC")
    ) -> None:
        self._reader, self._node_authorizer = reader, nodes
        self._decisions: dict[tuple[str, tuple[str, ...], Asked], Decision] = {}
        self._grants: dict[tuple[str, str], list[Grant]] | None = None
        self.configure(modes)

    def configure(self, modes: Sequence[str]) -> None:
        """Take in --authorization-mode."""
        self._modes, self._nodes = modes, self._node_authorizer if "Node" in modes else None
        self.invalidate()

    def invalidate(self) -> None:
        """Forget every decision: a Role, ClusterRole or binding changed."""
        self._decisions.clear()
        self._grants = None

    def authorize(self, user: User, *what: str, field_selector: str | None = None, **more: str) -> tuple[bool, str]:
        """Whether `user` may do it (the fields of `Asked`), and why, or why not.

        `field_selector` is the request's own ("" for none); only the node authorizer asks for it, None exempts.
        """
        asked = Asked(*what, **more)
        groups = user.groups
        if "system:masters" in groups:
            return True, ""
        node_reason = ""
        if self._nodes and "system:nodes" in groups:
            allowed, node_reason = self._nodes.authorize(user, asked, field_selector)
            if allowed:
                return True, node_reason
        key = (user.name, groups, asked._replace(name=""))
        if "AlwaysAllow" in self._modes:
            return True, ""
        decision = self._decisions.get(key)
        if decision is None and "RBAC" not in self._modes:
            return False, "Everything is forbidden." if "AlwaysDeny" in self._modes else ""
        if decision is None:
            decision = self._decide(user, asked)
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            self._decisions[key] = decision
        if decision.names and asked.name in decision.names:
            return True, decision.names[asked.name]
        if node_reason and not decision.allowed:
            return False, "\n".join(filter(None, (node_reason, decision.reason)))
        return decision.allowed, decision.reason

    def check(self, user: User, *what: str, field_selector: str | None = None, **more: str) -> None:
        """Raise the apiserver's 403 unless `authorize` allows."""
        allowed, reason = self.authorize(user, *what, field_selector=field_selector, **more)
        if not allowed:
            raise forbidden(user, Asked(*what, **more), reason)

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Every binding that applies to `user` in `namespace` ("": cluster-wide ones only), in upstream's order."""
        table = self._grants if self._grants is not None else self._index()
        found: dict[int, Grant] = {}
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            for grant in table.get(subject, ()):
                if not grant.namespace or grant.namespace == namespace:
                    kept = found.get(grant.order)
                    if kept is None or grant.position < kept.position:
                        found[grant.order] = grant
        return iter(sorted(found.values(), key=lambda grant: grant.order))

    def rules(self, user: User, namespace: str) -> tuple[list[Object], list[str]]:
        """All rules that apply to `user` in `namespace`, and the errors met on the way."""
        rules: list[Object] = []
        problems: list[str] = []
        for grant in self.grants(user, namespace):
            rules += grant.rules
            problems += [grant.error] if grant.error else []
        return rules, problems

    def role_rules(self, role_ref: Object, namespace: str) -> list[Object]:
        """The rules behind a binding's roleRef. StatusError 404 if the role does not exist."""
        kind, name = role_ref.get("kind"), role_ref.get("name", "")
        if kind not in ("Role", "ClusterRole"):
            raise LookupError(f'unsupported role reference kind: "{kind}"')
        resource, scope = ("roles", namespace) if kind == "Role" else ("clusterroles", "")
        try:
            rules: list[Object] = self._reader.get(f"{resource}.{RBAC_GROUP}", name, scope).get("rules") or []
        except errors.StatusError as error:
            if not errors.is_not_found(error):
                raise
            raise errors.not_found(f"{resource[:-1]}.{RBAC_GROUP}", name) from None
        return rules

    def _index(self) -> dict[tuple[str, str], list[Grant]]:
        table: dict[tuple[str, str], list[Grant]] = {}
        order = 0
        for resource in ("clusterrolebindings", "rolebindings"):
            for binding in self._reader.list(f"{resource}.{RBAC_GROUP}"):
                order += 1
                namespace = binding["metadata"].get("namespace", "")
                rules: list[Object] = []
                problem = ""
                try:
                    rules = self.role_rules(binding["roleRef"], namespace)
                except (errors.StatusError, LookupError) as error:
                    problem = str(error)
                seen = set()
                for position, subject in enumerate(binding.get("subjects") or ()):
                    who = _principal(subject, namespace)
                    if who and who not in seen:
                        seen.add(who)
                        grant = Grant(order, position, namespace, _describe(binding, subject), rules, problem)
                        table.setdefault(who, []).append(grant)
        self._grants = table
        return table

    def _decide(self, user: User, asked: Asked) -> Decision:
        verb, group, resource, subresource, namespace, _, path = asked
        names: dict[str, str] = {}
        problems: list[str] = []
        for grant in self.grants(user, namespace):
            if grant.error:
                problems.append(grant.error)
            for rule in grant.rules:
                if not resource:
                    matches = verb_matches(rule, verb) and path_matches(rule, path)
                else:
                    matches = (
                        verb_matches(rule, verb)
                        and group_matches(rule, group)
                        and resource_matches(rule, asked.combined, subresource)
                    )
                if not matches:
                    continue
                reason = f"RBAC: allowed by {grant.description}"
                if resource and (limited := rule.get("resourceNames")):
                    for name in limited:
                        names.setdefault(name, reason)
                else:
                    return Decision(True, reason, names)
        return Decision(False, "RBAC: " + aggregate(problems) if problems else "", names)


# --- one rule (pkg/apis/rbac/v1 evaluation helpers) ---------------------------------------------------------------
def verb_matches(rule: Object, verb: str) -> bool:
    verbs = rule.get("verbs") or ()
    return verb in verbs or "*" in verbs


def group_matches(rule: Object, group: str) -> bool:
    groups = rule.get("apiGroups") or ()
    return group in groups or "*" in groups


def resource_matches(rule: Object, combined: str, subresource: str) -> bool:
    """`combined` is "pods" or "pods/log"; a rule's "*/log" matches that subresource of everything."""
    resources = rule.get("resources") or ()
    return "*" in resources or combined in resources or bool(subresource and f"*/{subresource}" in resources)


def path_matches(rule: Object, path: str) -> bool:
    return any(
        url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))
        for url in rule.get("nonResourceURLs") or ()
    )


# --- words --------------------------------------------------------------------------------------------------------
def forbidden(user: User, asked: Asked, reason: str) -> errors.StatusError:
    """The 403 that the apiserver answers (endpoints/handlers/responsewriters)."""
    verb, group, resource, _, namespace, name, path = asked
    if not resource:
        message = f'User "{user.name}" cannot {verb} path "{path}"'
    else:
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        message = f'User "{user.name}" cannot {verb} resource "{asked.combined}" in API group "{group}" {where}'
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        message = message.replace(char, safe)
    if reason:
        message += f": {reason}"
    if not resource:
        return errors.forbidden_path(f"forbidden: {message}")
    return errors.forbidden(f"{resource}.{group}" if group else resource, name, message)


def aggregate(messages: Iterable[str]) -> str:
    """Several errors as Go's aggregate prints them."""
    unique = list(dict.fromkeys(messages))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


def _principal(subject: Object, namespace: str) -> tuple[str, str] | None:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind == "ServiceAccount":
        where = subject.get("namespace") or namespace
        return ("User", f"system:serviceaccount:{where}:{name}") if where else None
    return (kind, name) if kind in ("User", "Group") else None


def _describe(binding: Object, subject: Object) -> str:
    metadata, role = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace", "")
    kind, name = (
        ("RoleBinding", f"{metadata['name']}/{namespace}") if namespace else ("ClusterRoleBinding", metadata["name"])
    )
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    return f'{kind} "{name}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'
