"""Roles and bindings. Stands for `pkg/apis/rbac/validation`; who may grant what is the registry's business."""

from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import invalid, not_supported, required
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import Errors, bad, dns_subdomain, each, listed, sub, text

GROUP: Final = "rbac.authorization.k8s.io"
KINDS: Final = ("ServiceAccount", "User", "Group")


def role(obj: Object) -> Errors:
    """A Role or a ClusterRole."""
    namespaced = obj.get("kind") == "Role"
    for place, rule in each(obj, "rules", ""):
        yield from policy_rule(rule, namespaced, place.removeprefix("."))
    aggregation = obj.get("aggregationRule")
    if aggregation is None or namespaced:
        return
    path = "aggregationRule.clusterRoleSelectors"
    if not listed(aggregation, "clusterRoleSelectors"):
        yield required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for place, selector in each(aggregation, "clusterRoleSelectors", "aggregationRule"):
        yield from meta.label_selector(selector, place)


def policy_rule(rule: Object, namespaced: bool, path: str) -> Errors:
    """One rule of a role."""
    if not listed(rule, "verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    urls, resources = listed(rule, "nonResourceURLs"), listed(rule, "resources")
    if urls:
        place = f"{path}.nonResourceURLs"
        if namespaced:
            yield invalid(place, urls, "namespaced rules cannot apply to non-resource URLs")
        if listed(rule, "apiGroups") or resources or listed(rule, "resourceNames"):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(place, urls, why)
        return
    if not listed(rule, "apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def binding(obj: Object) -> Errors:
    """A RoleBinding or a ClusterRoleBinding."""
    namespaced = obj.get("kind") == "RoleBinding"
    ref = sub(obj, "roleRef")
    if text(ref, "apiGroup") != GROUP:
        yield not_supported("roleRef.apiGroup", text(ref, "apiGroup"), (GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if text(ref, "kind") not in kinds:
        yield not_supported("roleRef.kind", text(ref, "kind"), kinds)
    if not ref.get("name"):
        yield required("roleRef.name")
    else:
        yield from bad("roleRef.name", ref["name"], names.path_segment(ref["name"]))
    for place, subject in each(obj, "subjects", ""):
        yield from _subject(subject, namespaced, place.removeprefix("."))


def binding_update(new: Object, old: Object) -> Errors:
    """A changed binding: its role stays."""
    yield from binding(new)
    if new.get("roleRef") != old.get("roleRef"):
        ref = sub(new, "roleRef")
        shown = {"APIGroup": text(ref, "apiGroup"), "Kind": text(ref, "kind"), "Name": text(ref, "name")}
        yield invalid("roleRef", shown, "cannot change roleRef")


def _subject(subject: Object, namespaced: bool, path: str) -> Errors:
    name, kind, group = text(subject, "name"), text(subject, "kind"), text(subject, "apiGroup")
    if not name:
        yield required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            yield from dns_subdomain(f"{path}.name", name)
        if group:
            yield not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{path}.namespace")
    elif kind in KINDS:
        if not name:
            yield invalid(f"{path}.name", name, f"{kind.lower()} name cannot be empty")
        if group != GROUP:
            yield not_supported(f"{path}.apiGroup", group, (GROUP,))
    else:
        yield not_supported(f"{path}.kind", kind, KINDS)
