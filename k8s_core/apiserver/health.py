"""/healthz, /livez and /readyz: one check a line for whoever asks with `?verbose`, or "ok".

Stands for apiserver's pkg/server/healthz. What a real kube-apiserver starts after it listens is part of this server
from the first request on, so those checks pass; etcd is the one that can fail. `?exclude=NAME` leaves a check out, and
each has a path of its own (/livez/etcd).
"""

from typing import Final

from k8s_core.apiserver.request import Request, Response

PLAIN: Final = "text/plain; charset=utf-8"
_FIRST: Final = ("ping", "log", "etcd")
_READY: Final = ("etcd-readiness", "informer-sync")
_HOOKS: Final = (
    "start-apiserver-admission-initializer", "generic-apiserver-start-informers", "start-apiextensions-informers",
    "start-apiextensions-controllers", "crd-informer-synced", "start-system-namespaces-controller",
    "start-legacy-token-tracking-controller", "start-service-ip-repair-controllers", "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes", "bootstrap-controller", "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller", "apiservice-status-remote-available-controller",
    "apiservice-registration-controller", "apiservice-discovery-controller", "kube-apiserver-autoregistration",
    "apiservice-openapi-controller", "apiservice-openapiv3-controller",
)  # fmt: skip


def answer(request: Request, path: str, *, etcd_failed: bool) -> Response:
    """The answer for a path below one of the three."""
    root, _, name = path.strip("/").partition("/")
    ready = _READY if root == "readyz" else ()
    checks = [*_FIRST, *ready, *(f"poststarthook/{hook}" for hook in _HOOKS), *(("shutdown",) if ready else ())]
    if name and name not in checks:
        return Response(404, body=b"404 page not found\n", content_type=PLAIN)
    broken = {"etcd", "etcd-readiness"} if etcd_failed else set()
    excluded = request.query.get("exclude", []) if not name else []
    asked = [name] if name else checks
    failed = any(check in broken and check not in excluded for check in asked)
    if not failed and ("verbose" not in request.query or name):
        return Response(body=b"ok", content_type=PLAIN)
    lines = [_line(check, check in broken, check in excluded) for check in asked]
    if unknown := [each for each in excluded if each not in checks]:
        quoted = ", ".join(f'"{each}"' for each in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    lines.append(f"{path.strip('/')} check {'failed' if failed else 'passed'}")
    return Response(500 if failed else 200, body=("\n".join(lines) + "\n").encode(), content_type=PLAIN)


def _line(check: str, broken: bool, excluded: bool) -> str:
    if excluded:
        return f"[+]{check} excluded: ok"
    return f"[-]{check} failed: reason withheld" if broken else f"[+]{check} ok"
