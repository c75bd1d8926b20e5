"""Priority: turns a Pod's priorityClassName into its priority; keeps one PriorityClass the default."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import Plugin, forbidden
from k8s_core.apiserver.request import Request

CLASSES = "priorityclasses.scheduling.k8s.io"
PREEMPT_LOWER = "PreemptLowerPriority"


class Priority(Plugin):
    name: ClassVar[str] = "Priority"
    resources: ClassVar[frozenset[str]] = frozenset({"pods", CLASSES})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if obj["kind"] != "Pod" or request.subresource:
            return
        spec = obj["spec"]
        if old is not None:
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and field in old["spec"]:
                    spec[field] = old["spec"][field]
            return
        if name := spec.get("priorityClassName"):
            chosen = self.find(CLASSES, name)
            if chosen is None:
                raise forbidden(request, obj, f"no PriorityClass with name {name} was found")
        else:
            chosen = self._default()
            if chosen:
                spec["priorityClassName"] = chosen["metadata"]["name"]
        priority = chosen["value"] if chosen else 0
        policy = (chosen or {}).get("preemptionPolicy") or PREEMPT_LOWER
        computed = "from the given PriorityClass name"
        if spec.get("priority") not in (None, priority):
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {priority} {computed}"
            )
            raise forbidden(request, obj, why)
        if spec.get("preemptionPolicy") not in (None, policy):
            why = (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod "
                f"spec; priority admission controller computed {policy} {computed}"
            )
            raise forbidden(request, obj, why)
        spec["priority"], spec["preemptionPolicy"] = priority, policy

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        if obj is None or obj["kind"] != "PriorityClass" or not obj.get("globalDefault"):
            return
        default = self._default()
        if default and default["metadata"]["name"] != obj["metadata"]["name"]:
            name = default["metadata"]["name"]
            why = f"PriorityClass {name} is already marked as default. Only one default can exist"
            raise forbidden(request, obj, why)

    def _default(self) -> Object | None:
        defaults = [each for each in self.reader.list(CLASSES) if each.get("globalDefault")]
        return min(defaults, key=lambda each: int(each["value"])) if defaults else None
