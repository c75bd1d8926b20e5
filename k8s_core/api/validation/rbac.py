"""Roles and bindings: what is logic. Stands for `pkg/apis/rbac/validation`; who may grant what is the registry's."""

from k8s_core.api import Object
from k8s_core.api.field import invalid
from k8s_core.api.validation.common import Errors, sub, text


def no_resources(urls: list[str], path: str, rule: Object) -> Errors:
    """A rule is about URLs or about resources."""
    if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
        yield invalid(path, urls, "rules cannot apply to both regular resources and non-resource URLs")


def same_role(new: Object, path: str, within: Object, old: Object) -> Errors:
    """A binding's role stays."""
    if new.get("roleRef") != old.get("roleRef"):
        ref = sub(new, "roleRef")
        shown = {"APIGroup": text(ref, "apiGroup"), "Kind": text(ref, "kind"), "Name": text(ref, "name")}
        yield invalid("roleRef", shown, "cannot change roleRef")
