"""One request's way through kube-apiserver. Read `Server.handle` first: it is the whole way on one screen.

    wire ─ resolve ─ authenticate ─ authorize ─ decode ─┬─ default ─ mutate ─ prepare ─ validate ─ etcd
                                                        └─ (registry.py: create, update, patch, delete)
    and back: the object, a Table or a stream (presentation.py), and a line in the audit log.

Every stage raises StatusError to refuse; `handle` never raises. Components in the same process come in through
`call` and `watch`: the same way without the wire. Stands for apiserver's endpoints/filters and handlers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from k8s_core.api import Object, errors
from k8s_core.api.resources import Resources
from k8s_core.api.schema import Schema
from k8s_core.apiserver import health, presentation, version
from k8s_core.apiserver.aggregation import Aggregator
from k8s_core.apiserver.audit import AuditLog
from k8s_core.apiserver.authentication import Authenticator
from k8s_core.apiserver.authorization import Authorizer
from k8s_core.apiserver.availability import Availability
from k8s_core.apiserver.body import CONNECTIONS, decode_body
from k8s_core.apiserver.discovery import Discovery
from k8s_core.apiserver.lists import filter_of, list_objects, start_watch
from k8s_core.apiserver.metrics import ResourceMetrics
from k8s_core.apiserver.openapi import OpenAPI
from k8s_core.apiserver.registry import Registry, copy
from k8s_core.apiserver.request import Request, Response, resolve
from k8s_core.apiserver.reviews import Reviews
from k8s_core.apiserver.strategy import CREATE_ON_UPDATE, orphans_unasked
from k8s_core.apiserver.subresources import Subresources, patch_kind
from k8s_core.apiserver.tokens import Tokens
from k8s_core.apiserver.watch import Sink, Watch
from k8s_core.clock import Loop
from k8s_core.streams import Stream

logger = logging.getLogger("k8s_core.apiserver")
RBAC = "rbac.authorization.k8s.io"
DEPRECATED = {"endpoints": (33, "; use discovery.k8s.io/v1 EndpointSlice"), "componentstatuses": (19, "")}


@dataclass(eq=False)
class Server:
    """The API server. Parts are given by cluster.py, so that a reader can take any of them out and look at it."""

    loop: Loop
    schema: Schema
    resources: Resources
    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    reviews: Reviews
    tokens: Tokens
    subresources: Subresources
    discovery: Discovery
    openapi: OpenAPI
    metrics: ResourceMetrics
    aggregator: Aggregator
    minor: str = version.DEFAULT
    audit: AuditLog = field(default_factory=AuditLog)
    availability: Availability = field(default_factory=Availability)
    health: Callable[[], dict[str, str]] = dict
    """What is wrong with each component, "" if nothing is; for ComponentStatuses."""

    # --- the way of a request -------------------------------------------------------------------------------
    def handle(self, request: Request) -> Response:
        """Answer one request from the wire."""
        try:
            resolve(request, self.resources)
            request.user = self.authenticator.authenticate(request)
            request.note("authentication", request.user.name)
            self._authorize(request)
            response = self.aggregator.serve(request) or (
                self._resource(request) if request.resource else self._path(request)
            )
        except errors.StatusError as error:
            response = Response(error.code, error.status, headers=dict(error.headers))
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            response = Response(500, errors.internal("the server met a defect of its own; it is in its log").status)
        for text in request.warnings:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            response.headers["Warning"] = ", ".join(
                filter(None, [response.headers.get("Warning"), f'299 - "{quoted}"'])
            )
        self._log(request, response.code, response.object)
        response.headers["Audit-Id"] = request.headers.get("audit-id") or self.audit.id
        return response

    def call(self, request: Request) -> Object:
        """Answer a component of this process with an object; StatusError when refused."""
        self.availability.reach(request)
        try:
            if request.resource is None:
                raise errors.no_such_path()
            self._authorize(request)
            response = self._resource(request)
        except errors.StatusError as error:
            self._log(request, error.code, error.status)
            raise
        if request.verb not in ("get", "list"):
            self._log(request, response.code, None)
        return response.object or {}

    def watch(self, request: Request, on_event: Sink, on_end: Callable[[], None]) -> Watch:
        """Begin a watch for a component of this process."""
        self.availability.reach(request)
        self._authorize(request)
        return start_watch(self.registry, request, on_event, on_end)

    def _authorize(self, request: Request) -> None:
        resource = request.resource
        self.authorizer.check(
            request.user,
            request.verb,
            resource.group if resource else "",
            resource.name if resource else "",
            request.subresource,
            request.namespace,
            request.name,
            request.path,
            field_selector=request.param("fieldSelector") if resource else None,
        )
        request.note("authorization", "allowed")

    def _log(self, request: Request, code: int, answer: Object | None) -> None:
        message = answer.get("message", "") if code >= 400 and answer else ""
        self.audit.add(request, self.loop.timestamp(), code, message)

    # --- resources ------------------------------------------------------------------------------------------
    def _resource(self, request: Request) -> Response:
        resource = request.resource
        assert resource is not None
        self.availability.check()
        if request.subresource:
            known = resource.subresources.get(request.subresource)
            if known is None:
                raise errors.no_such_path()
            verbs: tuple[str, ...] = known.verbs
        else:
            verbs = resource.verbs
        # One creates in a collection and changes what has a name.
        misplaced = bool(request.name) is (request.verb == "create") and request.verb in ("create", "update", "patch")
        if request.verb not in verbs or (misplaced and not request.subresource and not request.in_process):
            raise errors.StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
            )
        if resource.namespaced and not request.namespace and request.verb not in ("list", "watch"):
            raise errors.bad_request("namespace is required") if request.in_process else errors.no_such_path()
        if not request.in_process:
            since, advice = DEPRECATED.get(resource.group_resource, (0, ""))
            if since and int(self.minor.split(".")[1]) >= since:
                request.warnings.append(f"v1 {resource.kind} is deprecated in v1.{since}+{advice}")
            decode_body(request, self.schema)
            request.note("decoding", request.headers.get("content-type", ""))
        handler = self.subresources.handler(request) if request.subresource else None
        if handler:
            return handler(request)
        if request.subresource in CONNECTIONS:
            raise errors.no_such_path()
        review = self._review(request)
        if review:
            return review
        return getattr(self, "_" + request.verb)(request)  # type: ignore[no-any-return]

    def _review(self, request: Request) -> Response | None:
        """Reviews are answered, not stored."""
        resource, reviews = request.resource, self.reviews
        assert resource is not None
        answer = {
            "SelfSubjectAccessReview": reviews.self_subject_access,
            "SubjectAccessReview": reviews.subject_access,
            "LocalSubjectAccessReview": reviews.local_subject_access,
            "SelfSubjectRulesReview": reviews.self_subject_rules,
            "SelfSubjectReview": reviews.self_subject,
            "TokenReview": reviews.token,
        }.get(resource.kind)
        if answer is None or request.verb != "create":
            return None
        return Response(201, answer(request, request.object))

    # --- verbs ----------------------------------------------------------------------------------------------
    def _get(self, request: Request) -> Response:
        assert request.resource is not None
        computed = self._computed(request)
        if computed is None:
            self._confirm(request)
            obj = self.registry.get(request.resource, request.namespace, request.name)
        else:
            found = next((each for each in computed if each["metadata"]["name"] == request.name), None)
            if found is None:
                raise errors.not_found(request.resource, request.name)
            obj = found
        return Response(object=obj if request.in_process else presentation.one(request, obj, self.loop))

    def _confirm(self, request: Request) -> None:
        """A read without a resourceVersion is a quorum read; the components in this process read their caches."""
        if not (request.in_process or request.param("resourceVersion") or request.param("continue")):
            self.registry.storage.confirm()

    def _list(self, request: Request) -> Response:
        self._confirm(request)
        computed = self._computed(request)
        if computed is None:
            items, meta = list_objects(self.registry, request)
        else:
            items = list(filter(filter_of(request), computed))
            meta = {"resourceVersion": ""}
        if request.in_process:
            return Response(object={"items": items, "metadata": meta})
        return Response(object=presentation.many(request, items, meta, self.loop))

    def _computed(self, request: Request) -> list[Object] | None:
        """The objects of a kind that is not stored but asked for each time; None for one that is stored."""
        assert request.resource is not None
        if request.resource.group_resource == "componentstatuses":
            return self._components()
        return self.metrics.objects(request) if self.metrics.serves(request.resource) else None

    def _components(self) -> list[Object]:
        return [
            {
                "apiVersion": "v1",
                "kind": "ComponentStatus",
                "metadata": {"name": name},
                "conditions": [{"type": "Healthy", "status": str(not problem), "message": problem or "ok"}],
            }
            for name, problem in self.health().items()
        ]

    def _watch(self, request: Request) -> Response:
        stream = Stream()
        frames = presentation.Frames(request, self.loop, stream)
        watch = frames.watch = start_watch(self.registry, request, frames, stream.end)
        stream.on_cancel.append(watch.cancel)
        return Response(stream=stream, content_type="application/json")

    def _create(self, request: Request) -> Response:
        obj = copy(request.object) if request.in_process else request.object
        if request.resource and request.resource.group_resource == "bindings":
            request.resource, request.subresource = self.resources.find("pods"), "binding"
            request.name = (obj.get("metadata") or {}).get("name", "")
            return self.subresources.bind(request)
        created = self.registry.create(request, obj)
        self._stored(request)
        return Response(201, created if request.in_process else presentation.one(request, created, self.loop))

    def _update(self, request: Request) -> Response:
        assert request.resource is not None
        obj = request.object
        fresh = copy(obj) if request.resource.group_resource in CREATE_ON_UPDATE else None

        def change(old: Object) -> Object:
            if not request.in_process:
                return obj  # type: ignore[no-any-return]
            if request.subresource == "status" or obj.get("spec") is old.get("spec"):
                return {**obj, "metadata": {**obj["metadata"]}}
            return copy(obj)  # type: ignore[no-any-return]

        return self._answer(request, *self.registry.update(request, change, may_create=fresh))

    def _patch(self, request: Request) -> Response:
        body = copy(request.object) if request.in_process else request.object
        return self._answer(request, *self.registry.patch(request, patch_kind(request), body))

    def _answer(self, request: Request, obj: Object, created: bool) -> Response:
        self._stored(request)
        return Response(
            201 if created else 200, obj if request.in_process else presentation.one(request, obj, self.loop)
        )

    def _delete(self, request: Request) -> Response:
        resource = request.resource
        assert resource is not None
        self._warn_of_orphans(request)
        obj, gone = self.registry.delete(request, request.object or {})
        self._stored(request)
        if gone and resource.group_resource not in RETURN_DELETED:
            return Response(object=_deleted(request, obj))
        return Response(object=obj if request.in_process else presentation.one(request, obj, self.loop))

    def _deletecollection(self, request: Request) -> Response:
        resource = request.resource
        assert resource is not None
        self._warn_of_orphans(request)
        wanted = filter_of(request)
        doomed = [o for o in self.registry.storage.select(resource.storage, wanted.namespace) if wanted(o)]
        for obj in doomed:
            one = Request(
                verb="delete", resource=resource, namespace=obj["metadata"].get("namespace", ""),
                name=obj["metadata"]["name"], user=request.user, headers=request.headers, query=request.query,
                object=request.object, in_process=True,
            )  # fmt: skip
            with errors.ignoring(errors.is_not_found):
                self.registry.delete(one, request.object or {})
        self._stored(request)
        items, meta = doomed, {"resourceVersion": str(self.registry.storage.revision)}
        return Response(object=presentation.many(request, items, meta, self.loop) if not request.in_process else {})

    def _warn_of_orphans(self, request: Request) -> None:
        if request.resource and orphans_unasked(request.resource.group_resource, request.object or {}):
            request.warnings.append(
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
                "them or set propagationPolicy=Orphan to suppress this warning"
            )

    def _stored(self, request: Request) -> None:
        assert request.resource is not None
        if request.resource.group == RBAC:
            self.authorizer.invalidate()

    # --- paths that name no resource ------------------------------------------------------------------------
    def _path(self, request: Request) -> Response:
        path = request.path.rstrip("/") or "/"
        root = path.split("/")[1]
        if request.method in ("GET", "HEAD"):
            if root in ("healthz", "livez", "readyz"):
                return health.answer(request, path, etcd_failed=bool(self.availability.outage))
            if path == "/version":
                return Response(body=orjson.dumps(version.info(self.minor), option=orjson.OPT_INDENT_2))
            if path == "/openid/v1/jwks":
                return Response(object=self.tokens.jwks())
            if path == "/.well-known/openid-configuration":
                return Response(object=self.tokens.openid_configuration())
            if path == "/":
                return Response(object={"paths": self._paths()})
            if path == "/metrics":
                return Response(body=self._metrics().encode(), content_type="text/plain; version=0.0.4")
            found = self.openapi.serve(request) if root == "openapi" else self.discovery.serve(request)
            if found is not None:
                return found
        if root in ("api", "apis"):
            raise errors.no_such_path()
        return Response(404, body=b"404 page not found\n", content_type="text/plain; charset=utf-8")

    def _paths(self) -> list[str]:
        groups = self.resources.groups()
        versions = [f"/apis/{g.name}/{v}" for g in groups for v in g.versions]
        return sorted(
            ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics",
             "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
             *(f"/apis/{group.name}" for group in groups), *versions]
        )  # fmt: skip

    def _metrics(self) -> str:
        caches: dict[str, Any] = {
            r.group_resource: self.registry.storage.cache(r.storage) for r in self.resources if "list" in r.verbs
        }
        lines = [
            "# HELP apiserver_storage_objects Number of stored objects",
            "# TYPE apiserver_storage_objects gauge",
        ]
        lines += [
            f'apiserver_storage_objects{{resource="{name}"}} {len(cache.items)}' for name, cache in caches.items()
        ]
        lines += ["# TYPE apiserver_request_total counter", f"apiserver_request_total {self.audit.number}"]
        return "\n".join(lines) + "\n"


# Kinds whose deletion answers with the object even when it is gone at once.
RETURN_DELETED = {"pods", "services", "serviceaccounts", "resourcequotas", "podtemplates", "persistentvolumeclaims",
                  "persistentvolumes"}  # fmt: skip


def _deleted(request: Request, obj: Object) -> Object:
    resource = request.resource
    assert resource is not None
    details = {"name": request.name, "group": resource.group, "kind": resource.name, "uid": obj["metadata"]["uid"]}
    found = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": found}
