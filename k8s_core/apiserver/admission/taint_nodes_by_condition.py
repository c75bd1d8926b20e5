"""TaintNodesByCondition: a new Node takes no Pods until its kubelet reported that it is ready."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, Plugin
from k8s_core.apiserver.request import Request

NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    name: ClassVar[str] = "TaintNodesByCondition"
    resources: ClassVar[frozenset[str]] = frozenset({"nodes"})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if all((taint.get("key"), taint.get("effect")) != (NOT_READY, "NoSchedule") for taint in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
