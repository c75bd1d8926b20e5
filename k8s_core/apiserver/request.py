"""What a request is once it left the wire, and what its path means (apiserver endpoints/request RequestInfo)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote

from k8s_core.api import Object, errors
from k8s_core.api.field import quote
from k8s_core.api.resources import Resource, Resources
from k8s_core.streams import Session, Stream

if TYPE_CHECKING:
    from k8s_core.apiserver.admission.reinvocation import Reinvocation

ACTIONS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_INT64_DIGITS = 20
REMOTE = "remote"
"""The `storage` of a resource that another server has."""


@dataclass(slots=True, frozen=True)
class User:
    """Who asks: the outcome of authentication."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Asked(NamedTuple):
    """What somebody wants to do; a request for no resource has a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """ "pods" or "pods/log"."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(slots=True)
class Request:
    """One API request. From the wire it carries method, path, headers and body; in process verb and object."""

    method: str = ""
    path: str = ""
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    peer_certificate: bytes | None = None
    """DER, when the client showed one in the TLS handshake."""
    verb: str = ""
    resource: Resource | None = None
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: User = ANONYMOUS
    object: Any = None
    """The decoded body; given at once when the request comes from inside the process."""
    in_process: bool = False
    warnings: list[str] = field(default_factory=list)
    trace: list[tuple[str, str]] = field(default_factory=list)
    """(stage, what it decided), in order; kept in the audit log."""
    impersonator: User | None = None
    reinvocation: "Reinvocation | None" = None
    """What admission remembers of its first round."""

    def param(self, name: str, default: str = "") -> str:
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Whether a parameter is there and says neither "false" nor "0", as upstream reads booleans."""
        return name in self.query and self.query[name][0].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        """A parameter as a number, None without one; StatusError 400 in the words of strconv."""
        text = self.param(name)
        if name not in self.query:
            return None
        if not re.fullmatch("[-+]?[0-9]+", text, re.ASCII):
            raise errors.bad_request(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
        if len(text) > _INT64_DIGITS or not -(2**63) <= int(text) < 2**63:
            raise errors.bad_request(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
        return int(text)

    @property
    def dry_run(self) -> bool:
        asked = self.query.get("dryRun")
        options = self.object if self.verb in ("delete", "deletecollection") else None
        return bool(asked and "All" in asked) or bool(isinstance(options, dict) and options.get("dryRun"))

    @property
    def field_manager(self) -> str:
        """?fieldManager=, or else the User-Agent up to its first slash, as kube-apiserver names writers."""
        return self.param("fieldManager") or self.headers.get("user-agent", "").split("/")[0] or "unknown"

    @property
    def target(self) -> str:
        """The resource as RBAC writes it: "pods" or "pods/log"."""
        name = self.resource.name if self.resource else ""
        return f"{name}/{self.subresource}" if self.subresource else name

    def note(self, stage: str, decision: str) -> None:
        self.trace.append((stage, decision))


@dataclass(slots=True)
class Response:
    """The answer: an object (JSON), raw bytes, a stream (watch, log) or a session (exec, attach)."""

    code: int = 200
    object: Object | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    stream: Stream | None = None
    session: Session | None = None
    connect: Callable[..., Any] | None = None


def parse_query(text: str) -> dict[str, list[str]]:
    return parse_qs(text, keep_blank_values=True)


def resolve(request: Request, resources: Resources) -> None:
    """Fill verb, resource, namespace, name and subresource from method, path and query.

    A path that names no known resource leaves `resource` None and the verb the lower-case method.
    """
    request.verb = request.method.lower()
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return
    watching = False
    if rest[0] == "watch" and len(rest) > 1:  # the old /watch/ paths
        watching, rest = True, rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = resources.get(group, version, rest[0])
    if resource is None and (group, version) in resources.remote:
        resource = Resource(group, version, rest[0], "", "", namespaced=bool(namespace), verbs=(), storage=REMOTE)
    if resource is None:
        return
    request.resource, request.namespace = resource, namespace
    request.name = rest[1] if len(rest) > 1 else ""
    request.subresource = "/".join(rest[2:3])
    if len(rest) > 3:
        request.query.setdefault("path", ["/".join(rest[3:])])
    if resource.name == "namespaces" and not resource.group and request.name and not request.namespace:
        request.namespace = request.name  # so that a Role in the namespace may allow it
    request.verb = ACTIONS.get(request.method, request.method.lower())
    if request.verb == "get" and not request.subresource and (watching or request.flag("watch")):
        request.verb = "watch"
    elif not request.name:
        request.verb = {"get": "list", "delete": "deletecollection"}.get(request.verb, request.verb)
