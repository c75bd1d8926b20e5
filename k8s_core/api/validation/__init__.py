"""Validation: what kube-apiserver refuses with 422, and in which words.

Stands for `pkg/apis/*/validation` and the strategies' own checks. What tags can say stands in the YAML files, one
for each API area, in the language of `tags.py`; the Python file of the same name has what is logic. `create` and
`update` never raise and give field errors in upstream's order; `errors.invalid` makes the one Status of them. Kinds
without rules of their own have their metadata checked, nothing more: what depends on other objects is admission's or
an allocator's business.
"""

from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import FieldError
from k8s_core.api.validation import meta, tags, warnings
from k8s_core.api.validation.formats import FORMATS

__all__ = ["RULES", "create", "update", "warnings"]

RULES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    (name.split()[0], name.split()[1]): rules for name, rules in tags.kinds().items()
}
"""How each kind is validated beyond its metadata; an update without a rule of its own is a creation again."""


def create(obj: Object) -> list[FieldError]:
    """What is wrong with an object that is about to be created; defaults are filled in, its name is generated."""
    rules = RULES.get((obj.get("apiVersion", ""), obj.get("kind", "")), {})
    _, name = FORMATS[rules.get("name", "k8s-long-name")]
    errors = [] if rules.get("nameless") else list(meta.create(obj, name))
    if check := rules.get("create"):
        check(obj, "", None, None, errors)
    return errors


def update(new: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with an object that is about to replace `old`; parts that are `old`'s own (`is`) are fine."""
    rules = RULES.get((new.get("apiVersion", ""), new.get("kind", "")), {})
    errors = list(meta.update(new, old))
    part = subresource or "spec"
    same = new.get(part) is not None and new[part] is old.get(part) and not rules.get("always")
    if check := None if same else rules.get(subresource or "update"):
        check(new, "", None, old, errors)
    elif not same and not subresource and "create" in rules:
        rules["create"](new, "", None, None, errors)
    return errors
