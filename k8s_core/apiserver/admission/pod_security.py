"""PodSecurity: holds Pods to the level that their namespace's labels ask for; warns about templates.

Labels pod-security.kubernetes.io/{enforce,audit,warn} and their -version. Only Pods are refused; whatever makes Pods
is warned about. A namespace that raises its level is told which of its Pods would not be let in any more.
"""

import re
from typing import ClassVar, NamedTuple

from k8s_core.api import Object, errors
from k8s_core.api.field import FieldError, invalid
from k8s_core.api.pod_security import LEVELS, describe, violations
from k8s_core.apiserver.admission.plugin import Plugin, forbidden
from k8s_core.apiserver.request import Request

PREFIX = "pod-security.kubernetes.io/"
SYNTAX = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
TEMPLATES = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
MAX_PODS = 3000  # defaultNamespaceMaxPodsToCheck


class Level(NamedTuple):
    """A level at a version, written "restricted:latest"."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def policy(labels: Object | None) -> tuple[dict[str, Level], list[FieldError]]:
    """The levels that a namespace's labels ask for, by mode, and what is wrong with them."""
    found: dict[str, Level] = {}
    problems: list[FieldError] = []
    for mode in ("enforce", "audit", "warn"):
        level = (labels or {}).get(PREFIX + mode)
        number = (labels or {}).get(f"{PREFIX}{mode}-version", "latest")
        if level is not None and level not in LEVELS:
            path = f"metadata.labels[{PREFIX}{mode}]"
            problems.append(invalid(path, level, f"must be one of {', '.join(LEVELS)}"))
            level = "restricted" if mode == "enforce" else "privileged"
        if not SYNTAX.fullmatch(number):
            path = f"metadata.labels[{PREFIX}{mode}-version]"
            problems.append(invalid(path, number, 'must be "latest" or "v1.x"'))
            number = "latest"
        found[mode] = Level(level or "privileged", number)
    return found, problems


class PodSecurity(Plugin):
    name: ClassVar[str] = "PodSecurity"
    resources: ClassVar[frozenset[str]] = frozenset({"pods", "namespaces", *TEMPLATES})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and request.resource is not None
        plural = request.resource.group_resource
        if plural == "namespaces":
            if not request.subresource:
                self._namespace(request, obj, old)
        elif plural == "pods":
            if request.subresource in ("", "ephemeralcontainers", "resize") and _significant(obj, old):
                self._pod(request, obj, obj["spec"], enforce=True)
        elif not request.subresource:
            template = obj
            for part in TEMPLATES[plural]:
                template = template.get(part) or {}
            if template.get("spec"):
                self._pod(request, obj, template["spec"], enforce=False)

    def _pod(self, request: Request, obj: Object, spec: Object, *, enforce: bool) -> None:
        namespace = self.find("namespaces", request.namespace)
        labels = {**self._defaults(), **((namespace["metadata"].get("labels") or {}) if namespace else {})}
        if not any(key.startswith(PREFIX) for key in labels) or self._exempt(request, spec):
            return
        levels, _ = policy(labels)
        if enforce and (found := violations(levels["enforce"].level, spec)):
            raise forbidden(request, obj, f'violates PodSecurity "{levels["enforce"]}": {describe(found)}')
        if found := violations(levels["audit"].level, spec):
            request.note("audit-violations", f'would violate PodSecurity "{levels["audit"]}": {describe(found)}')
        if found := violations(levels["warn"].level, spec):
            request.warnings.append(f'would violate PodSecurity "{levels["warn"]}": {describe(found)}')

    def _defaults(self) -> Object:
        """The levels of a PodSecurityConfiguration, as the labels would say them."""
        return {f"{PREFIX}{key}": level for key, level in (self.configuration.get("defaults") or {}).items()}

    def _exempt(self, request: Request, spec: Object) -> bool:
        """Whether the configuration lets the user, the namespace or the runtime class do as they like."""
        asked = {
            "usernames": request.user.name, "namespaces": request.namespace,
            "runtimeClasses": spec.get("runtimeClassName"),
        }  # fmt: skip
        exemptions = self.configuration.get("exemptions") or {}
        return any(value in (exemptions.get(kind) or ()) for kind, value in asked.items())

    def _namespace(self, request: Request, obj: Object, old: Object | None) -> None:
        defaults = self._defaults()
        new, problems = policy({**defaults, **(obj["metadata"].get("labels") or {})})
        before, had = policy({**defaults, **(old["metadata"].get("labels") or {})}) if old else ({}, [])
        if problems and problems != had:
            raise errors.invalid("Namespace", obj["metadata"].get("name", ""), problems)
        if old is None or new["enforce"] == before["enforce"] or new["enforce"].level == "privileged":
            return
        stricter = LEVELS.index(new["enforce"].level) > LEVELS.index(before["enforce"].level)
        if stricter or new["enforce"].version != before["enforce"].version:
            request.warnings.extend(self._existing(obj["metadata"]["name"], new["enforce"]))

    def _existing(self, namespace: str, level: Level) -> list[str]:
        """Warnings about Pods that are there already."""
        names: dict[str, list[str]] = {}
        for pod in self.reader.list("pods", namespace)[:MAX_PODS]:
            if found := violations(level.level, pod["spec"]):
                names.setdefault(", ".join(reason for reason, _ in found), []).append(pod["metadata"]["name"])
        if not names:
            return []
        lines = [f"{min(pods)}{_others(len(pods) - 1)}: {reasons}" for reasons, pods in names.items()]
        head = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}"'
        return [head, *sorted(lines)]


def _others(count: int) -> str:
    return f" (and {count} other pod{'s' * (count > 1)})" if count else ""


def _significant(obj: Object, old: Object | None) -> bool:
    """Whether an update adds containers or changes images: nothing else is looked at again."""
    if old is None:
        return True
    for part in ("containers", "initContainers", "ephemeralContainers"):
        images = [{each["name"]: each.get("image") for each in o["spec"].get(part) or ()} for o in (obj, old)]
        if images[0] != images[1]:
            return True
    return False
