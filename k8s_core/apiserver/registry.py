"""Create, read, update, patch and delete for every kind: the generic registry (apiserver registry/generic/registry).

Each verb is one method that reads as upstream's does: prepare, admit, validate, store. An object on its way in is a
private copy; what comes out is shared and must not be changed. Kinds differ only by the tables of strategy.py and
by the hooks of `allocator`. Optimistic concurrency: a write names the revision it replaces, or takes the latest.
"""

from collections.abc import Callable
from typing import Any, Protocol

from k8s_core.api import Object, conversion, defaults, errors, field, managedfields, patch, validation
from k8s_core.api.decode import normalise
from k8s_core.api.resources import Resource, Resources
from k8s_core.api.schema import Schema, Type
from k8s_core.apiserver import strategy
from k8s_core.apiserver.reader import StoredObjects
from k8s_core.apiserver.request import Request
from k8s_core.apiserver.storage import Storage
from k8s_core.clock import Loop
from k8s_core.limits import EVENT_TTL

MAX_NAME_GENERATION_TRIES = 8  # maxNameGenerationAttempts
Change = Callable[[Object], Object]
"""Makes a new object, privately the caller's, from the stored one."""


class Admission(Protocol):
    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None: ...
    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None: ...


class Allocator(Protocol):
    """Gives Services their addresses and ports, and says which IPAddress objects stand for them."""

    def allocate(self, service: Object, old: Object | None = None) -> None: ...
    def addresses(self, service: Object | None, old: Object | None = None) -> tuple[list[Object], list[str]]: ...


def copy(value: Any) -> Any:
    """A deep copy of JSON values."""
    if type(value) is dict:
        return {key: copy(item) for key, item in value.items()}
    if type(value) is list:
        return [copy(item) for item in value]
    return value


class Registry:
    """All stored resources. Raises StatusError; never stores anything that it then reports as failed."""

    admission: Admission
    allocator: Allocator

    def __init__(self, storage: Storage, loop: Loop, schema: Schema, resources: Resources):
        self.storage, self.loop, self.schema, self.resources = storage, loop, schema, resources
        self.reader = StoredObjects(storage, resources, self.get, self.type_of)

    # --- reading --------------------------------------------------------------------------------------------
    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The stored object, in the group and version of `resource`."""
        obj = self.storage.get(resource.storage, namespace if resource.namespaced else "", name)
        return obj if obj is None else self._view(obj, resource)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        obj = self.find(resource, namespace, name)
        if obj is None:
            raise errors.not_found(resource, name)
        return obj

    def _view(self, obj: Object, resource: Resource) -> Object:
        return obj if obj["apiVersion"] == resource.api_version else conversion.from_storage(obj, resource)

    def _default(self, resource: Resource, obj: Object) -> None:
        defaults.apply(obj)
        if resource.custom:
            resource.custom.default(obj)

    def type_of(self, resource: Resource) -> Type:
        custom = resource.custom
        return custom.type if custom else self.schema.kind(resource.group, resource.version, resource.kind)

    # --- creating -------------------------------------------------------------------------------------------
    def create(self, request: Request, obj: Object) -> Object:
        """Store a new object (a private copy): default, admit, prepare, validate, store."""
        resource = request.resource
        assert resource is not None
        self._place(request, obj)
        meta = obj["metadata"]
        meta["uid"], meta["creationTimestamp"] = self.loop.uid(), self.loop.timestamp()
        meta.pop("resourceVersion", None)
        generated = not meta.get("name") and bool(meta.get("generateName"))
        if generated:
            meta["name"] = self._generated_name(resource, meta)
        request.name = meta.get("name", "")
        self._default(resource, obj)
        self._own(request, None, obj)  # what the server adds from here on is nobody's
        request.note("defaulting", "")
        self.admission.mutate(request, obj, None)
        with_status = "status" in resource.subresources
        strategy.prepare_create(resource.group_resource, obj, request, with_status=with_status)
        if resource.group_resource == "services":
            self.allocator.allocate(obj)
        self._check(resource, obj, validation.create(obj) + _custom_problems(resource, obj))
        if not request.in_process:
            request.warnings.extend(validation.warnings.create(obj))
        self.admission.validate(request, obj, None)
        request.note("validation", "")
        if request.dry_run:
            if self.find(resource, request.namespace, meta["name"]) is not None:
                raise errors.already_exists(resource, meta["name"])
            return obj
        stored = self._store_new(resource, request.namespace, obj)
        request.note("etcd", f"created at revision {stored['metadata']['resourceVersion']}")
        return self._view(stored, resource)

    def _store_new(self, resource: Resource, namespace: str, obj: Object) -> Object:
        name = obj["metadata"]["name"]
        ttl = EVENT_TTL if resource.kind == "Event" else 0
        stored = self.storage.create(
            resource.storage,
            namespace if resource.namespaced else "",
            name,
            conversion.to_storage(obj, resource),
            ttl=ttl,
        )
        if stored is None:
            error = errors.already_exists(resource, name)
            if obj["metadata"].get("generateName"):
                error.status["message"] += ", the server was not able to generate a unique name for the object"
            raise error
        if resource.group_resource == "services":
            self._keep_addresses(stored, None)
        return stored

    def _keep_addresses(self, service: Object | None, old: Object | None) -> None:
        """Write and delete the IPAddress objects that show which cluster IPs are taken."""
        made, gone = self.allocator.addresses(service, old)
        resource = self.resources.find("ipaddresses.networking.k8s.io")
        if resource is None:
            return  # before 1.33 the apiserver keeps a bitmap of its own
        for obj in made:
            meta = {**obj["metadata"], "uid": self.loop.uid(), "creationTimestamp": self.loop.timestamp()}
            self.storage.create(resource.storage, "", meta["name"], {**obj, "metadata": meta})
        for name in gone:
            held = self.storage.get(resource.storage, "", name)
            if held:
                self.storage.delete(resource.storage, "", name, held["metadata"]["resourceVersion"])

    def _place(self, request: Request, obj: Object) -> None:
        """The object's namespace is the request's; saying otherwise is an error."""
        meta, resource = obj.setdefault("metadata", {}), request.resource
        assert resource is not None
        if resource.namespaced:
            if meta.get("namespace") and meta["namespace"] != request.namespace:
                raise errors.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = request.namespace
        else:
            meta.pop("namespace", None)

    def _generated_name(self, resource: Resource, meta: Object) -> str:
        name = ""
        for _ in range(MAX_NAME_GENERATION_TRIES):
            name = f"{meta['generateName'][:58]}{self.loop.suffix()}"
            if self.find(resource, meta.get("namespace", ""), name) is None:
                break
        return name

    def install(self, obj: Object) -> Object:
        """Store an object that the server itself brings along: defaulted, but asked nothing. For boot only."""
        group, _, number = obj["apiVersion"].rpartition("/")
        resource = self.resources.by_kind(group, number, obj["kind"])
        if resource is None:
            return obj  # a kind that this version does not have
        obj = copy(obj)
        meta = obj["metadata"]
        if there := self.find(resource, meta.get("namespace", ""), meta["name"]):
            return there  # a real etcd has it from an earlier cluster
        meta["uid"], meta["creationTimestamp"] = self.loop.uid(), self.loop.timestamp()
        status = obj.get("status")
        defaults.apply(obj)
        request = Request(verb="create", resource=resource, headers={"user-agent": "kube-apiserver"})
        strategy.prepare_create(
            resource.group_resource, obj, request, with_status="status" in resource.subresources and not status
        )
        if resource.group_resource == "services":
            self.allocator.allocate(obj)
        self._own(request, None, obj)
        return self._store_new(resource, meta.get("namespace", ""), obj)

    # --- updating -------------------------------------------------------------------------------------------
    def update(self, request: Request, change: Change, *, may_create: Object | None = None) -> tuple[Object, bool]:
        """Replace the stored object by what `change` makes of it; returns it and whether it was created."""
        resource = request.resource
        assert resource is not None
        old = self.find(resource, request.namespace, request.name)
        if old is None:
            if may_create is not None and not request.subresource:
                may_create.setdefault("metadata", {})["name"] = request.name
                return self.create(request, may_create), True
            raise errors.not_found(resource, request.name)
        new = change(old)
        self._place(request, new)
        meta, was = new["metadata"], old["metadata"]
        if meta.get("name") not in (None, "", request.name):
            raise errors.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({request.name})"
            )
        meta["name"] = request.name
        if meta.get("uid") and meta["uid"] != was["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            raise errors.conflict(resource, request.name, why)
        revision = meta.get("resourceVersion") or ""
        revision = "" if revision == "0" else revision
        if not revision and resource.group_resource in strategy.NEEDS_REVISION and request.verb == "update":
            problem = field.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(resource.group_kind, request.name, [problem])
        if revision and revision != was["resourceVersion"]:
            raise errors.conflict(resource, request.name)
        return self._replace(request, resource, new, old), False

    def _replace(self, request: Request, resource: Resource, new: Object, old: Object) -> Object:
        meta, was = new["metadata"], old["metadata"]
        meta["resourceVersion"] = was["resourceVersion"]
        with_status = "status" in resource.subresources
        unchanged_spec = request.subresource == "status" or ("spec" in new and new["spec"] is old.get("spec"))
        if not unchanged_spec or resource.custom:
            self._default(resource, new)
        if request.subresource != "status":
            self._own(request, old, new)
            self.admission.mutate(request, new, old)
        strategy.prepare_update(
            resource.group_resource,
            new,
            old,
            request.subresource,
            with_status=with_status,
            custom=resource.custom is not None,
        )
        if request.subresource == "status":
            defaults.apply_status(new, old)
            self._own(request, old, new)
        is_service = resource.group_resource == "services" and not request.subresource
        if is_service:
            self.allocator.allocate(new, old)
        problems = validation.update(new, old, request.subresource)
        self._check(resource, new, problems + _custom_problems(resource, new, old, request.subresource))
        if not request.subresource and not request.in_process:
            request.warnings.extend(validation.warnings.update(new, old))
        self.admission.validate(request, new, old)
        if request.verb == "patch":
            managedfields.keep_times(old, new)
        request.note("validation", "")
        if new == old:
            request.note("etcd", "nothing changed, nothing written")
            return old
        if request.dry_run:
            return new
        held = (
            meta.get("finalizers")
            or meta.get("deletionGracePeriodSeconds")
            or (resource.group_resource == "namespaces" and new["spec"].get("finalizers"))
        )
        if "deletionTimestamp" in was and not held:  # the last finalizer went: the update completes the deletion
            self._remove(request, resource, old)
            return new
        stored = self.rewrite(resource, new)
        if is_service:
            self._keep_addresses(stored, old)
        request.note("etcd", f"updated at revision {stored['metadata']['resourceVersion']}")
        return self._view(stored, resource)

    def rewrite(self, resource: Resource, obj: Object) -> Object:
        """Store `obj` in the place of the revision that it names, asking nothing; 409 if that is no longer there."""
        meta = obj["metadata"]
        stored = self.storage.update(
            resource.storage,
            meta.get("namespace", ""),
            meta["name"],
            conversion.to_storage(obj, resource),
            meta["resourceVersion"],
        )
        if stored is None:
            raise errors.conflict(resource, meta["name"])
        return stored

    def _check(self, resource: Resource, obj: Object, problems: list[field.FieldError]) -> None:
        if problems:
            raise errors.invalid(resource.group_kind, obj["metadata"].get("name", ""), problems)

    def _own(self, request: Request, old: Object | None, new: Object) -> None:
        """Note in managedFields who set which field. Server-side apply has done so already."""
        if request.verb == "patch" and request.headers.get("content-type", "").startswith("application/apply-patch"):
            return
        assert request.resource is not None
        managed = managedfields.update(
            old,
            new,
            self.type_of(request.resource),
            request.field_manager,
            self.loop.timestamp(),
            request.subresource,
        )
        if managed:
            new["metadata"]["managedFields"] = managed
        else:
            new["metadata"].pop("managedFields", None)

    # --- patching -------------------------------------------------------------------------------------------
    def patch(self, request: Request, kind: str, body: Any) -> tuple[Object, bool]:
        """Apply a JSON, merge or strategic patch, or a server-side apply configuration."""
        resource = request.resource
        assert resource is not None
        type_ = self.type_of(resource)
        if kind == "apply":
            return self._apply(request, resource, type_, body)

        def change(old: Object) -> Object:
            new = patch.apply(kind, old, body, type_)
            level = request.param("fieldValidation") or "Warn"
            maps = body if kind == "strategic" else None
            if resource.custom:
                new, warnings = resource.custom.normalise(new, level)
            else:
                new, warnings = normalise(new, type_, field_validation=level, patch=maps)
            request.warnings.extend(warnings)
            return new

        return self.update(request, change)

    def _apply(self, request: Request, resource: Resource, type_: Type, body: Object) -> tuple[Object, bool]:
        force, now = request.flag("force"), self.loop.timestamp()

        def change(old: Object | None) -> Object:
            new = managedfields.apply(old, body, type_, request.field_manager, force, now, request.subresource)
            if resource.custom:
                return resource.custom.normalise(new, "Ignore")[0]
            return normalise(new, type_, field_validation="Ignore")[0]

        fresh = None
        if self.find(resource, request.namespace, request.name) is None:
            meta = body.setdefault("metadata", {})
            if isinstance(meta, dict):
                if uid := meta.get("uid"):
                    why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    raise errors.conflict(resource, request.name, why)
                meta["name"] = request.name
            fresh = change(None)
        return self.update(request, change, may_create=fresh)

    # --- deleting -------------------------------------------------------------------------------------------
    def delete(self, request: Request, options: Object) -> tuple[Object, bool]:
        """Delete or begin to; returns the object as it was last, and whether it is gone."""
        resource = request.resource
        assert resource is not None
        obj = self.get(resource, request.namespace, request.name)
        meta = obj["metadata"]
        wanted = options.get("preconditions") or {}
        for name, label, have in (
            ("uid", "UID", meta["uid"]),
            ("resourceVersion", "ResourceVersion", meta["resourceVersion"]),
        ):
            if wanted.get(name) and wanted[name] != have:
                why = f"Precondition failed: {label} in precondition: {wanted[name]}, {label} in object meta: {have}"
                raise errors.conflict(resource, request.name, why)
        self.admission.validate(request, None, obj)
        if request.dry_run:
            return obj, False
        grace = strategy.graceful_seconds(resource.group_resource, obj, options.get("gracePeriodSeconds"))
        finalizers = strategy.deletion_finalizers(resource.group_resource, meta.get("finalizers") or [], options)
        pending = bool(finalizers) or (resource.group_resource == "namespaces" and bool(obj["spec"].get("finalizers")))
        if "deletionTimestamp" in meta:
            left = meta.get("deletionGracePeriodSeconds", 0)
            if (pending and grace >= left) or (left and grace >= left):
                return obj, False  # being deleted already, and nobody asked for it sooner
        if not pending and not grace:
            return self._remove(request, resource, obj), True
        changed = {
            **meta,
            "deletionTimestamp": self.loop.timestamp(grace),
            "deletionGracePeriodSeconds": grace,
        }
        if "deletionTimestamp" not in meta and meta.get("generation"):
            changed["generation"] = meta["generation"] + 1
        changed["finalizers"] = finalizers
        if not finalizers:
            del changed["finalizers"]
        marked = {**obj, "metadata": changed}
        if resource.group_resource == "namespaces":
            marked["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        stored = self.rewrite(resource, marked)
        request.note("etcd", f"marked for deletion at revision {stored['metadata']['resourceVersion']}")
        return self._view(stored, resource), False

    def _remove(self, request: Request, resource: Resource, obj: Object) -> Object:
        meta = obj["metadata"]
        if not self.storage.delete(resource.storage, meta.get("namespace", ""), meta["name"], meta["resourceVersion"]):
            raise errors.conflict(resource, meta["name"])
        if resource.group_resource == "services":
            self._keep_addresses(None, obj)
        request.note("etcd", f"deleted at revision {self.storage.revision}")
        return obj


def _custom_problems(
    resource: Resource, obj: Object, old: Object | None = None, subresource: str = ""
) -> list[field.FieldError]:
    return resource.custom.validate(obj, old, subresource) if resource.custom else []
