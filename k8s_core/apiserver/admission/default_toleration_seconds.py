"""DefaultTolerationSeconds: a Pod stays five minutes on a node that is not ready or cannot be reached."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import Plugin
from k8s_core.apiserver.request import Request

KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300  # --default-not-ready-toleration-seconds, --default-unreachable-toleration-seconds


class DefaultTolerationSeconds(Plugin):
    name: ClassVar[str] = "DefaultTolerationSeconds"
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource:
            return
        spec = obj["spec"]
        have = spec.get("tolerations") or []
        tolerated = {each.get("key", "") for each in have if each.get("effect", "") in ("", "NoExecute")}
        if missing := [key for key in KEYS if key not in tolerated and "" not in tolerated]:
            spec["tolerations"] = [
                *have,
                *(
                    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                    for key in missing
                ),
            ]
