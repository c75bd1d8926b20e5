"""EventRateLimit: who writes too many Events is told to stop, by the limits of its configuration."""

from typing import Any, ClassVar

from k8s_core.api import Object, errors
from k8s_core.apiserver.admission.plugin import Plugin
from k8s_core.apiserver.request import Request

CACHE_SIZE = 4096  # defaultCacheSize: buckets kept for each limit


class EventRateLimit(Plugin):
    name: ClassVar[str] = "EventRateLimit"
    by_default: ClassVar[bool] = False
    resources: ClassVar[frozenset[str]] = frozenset({"events", "events.events.k8s.io"})

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._buckets: dict[tuple[int, str], tuple[float, float]] = {}
        """(limit, key) -> its tokens at a time."""

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource or request.dry_run:
            return
        limits = self.configuration.get("limits") or ()
        refused = [
            f"limit reached on type {limit['type']} for key {key}"
            for number, limit in enumerate(limits)
            for key in [_key(limit["type"], request, obj)]
            if not self._spend(number, limit, key)
        ]
        if refused:
            raise errors.too_many_requests(refused[0] if len(refused) == 1 else f"[{', '.join(refused)}]")

    def _spend(self, number: int, limit: Object, key: str) -> bool:
        """Take a token, if there is one."""
        now, burst = self.loop.now, float(limit["burst"])
        tokens, since = self._buckets.pop((number, key), (burst, now))
        tokens = min(burst, tokens + (now - since) * float(limit["qps"]))
        self._buckets[number, key] = (tokens - (tokens >= 1), now)
        if len(self._buckets) > (limit.get("cacheSize") or CACHE_SIZE):
            del self._buckets[next(iter(self._buckets))]  # the one used longest ago
        return tokens >= 1


def _key(kind: str, request: Request, event: Object) -> str:
    if kind == "SourceAndObject":
        source = event.get("source") or event.get("deprecatedSource") or {}
        about = event.get("involvedObject") or event.get("regarding") or {}
        parts = [source.get("component"), source.get("host")]
        parts += [about.get(name) for name in ("kind", "namespace", "name", "uid", "apiVersion")]
        return "".join(part or "" for part in parts)
    return {"Namespace": request.namespace, "User": request.user.name}.get(kind, "")
