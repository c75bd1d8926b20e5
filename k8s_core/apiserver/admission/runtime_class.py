"""RuntimeClass: a Pod that names one gets its overhead and its scheduling rules."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, Plugin, forbidden
from k8s_core.apiserver.request import Request


class RuntimeClass(Plugin):
    name: ClassVar[str] = "RuntimeClass"
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj["spec"]
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                raise forbidden(
                    request, obj, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                )
            return
        chosen = self.find("runtimeclasses.node.k8s.io", name)
        if chosen is None:
            raise forbidden(request, obj, f'pod rejected: RuntimeClass "{name}" not found')
        if overhead := (chosen.get("overhead") or {}).get("podFixed"):
            if spec.get("overhead") not in (None, {}, overhead):
                raise forbidden(
                    request, obj, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                )
            spec["overhead"] = dict(overhead)
        scheduling = chosen.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                where = f"scheduling.nodeSelector[{key}]"
                why = f"conflict: runtimeClass.{where} = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
                raise forbidden(request, obj, why)
            selector = {**selector, key: value}
        if selector:
            spec["nodeSelector"] = selector
        if added := [
            each for each in scheduling.get("tolerations") or () if each not in (spec.get("tolerations") or ())
        ]:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), *added]
