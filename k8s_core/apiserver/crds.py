"""CustomResourceDefinitions at work: their names accepted, their kinds served, their objects cleaned up.

Follows the stored definitions (through etcd's watch, so that it does not matter who wrote them) and keeps `Resources`
in step: discovery, OpenAPI, the garbage collector and namespace deletion read that. Stands for
apiextensions-apiserver's naming, establishing and finalizing controllers and customresource_handler.go.

Leaves out: webhook conversion (versions differ by name only), API approval.
"""

from typing import Any

from k8s_core.api import Object, errors
from k8s_core.api.custom import Custom
from k8s_core.api.resources import Resource, Subresource
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import Request, User
from k8s_core.apiserver.strategy import CRD_CLEANUP
from k8s_core.apiserver.watch import Filter, Watch, initial_events
from k8s_core.limits import CRD_CLEANUP_RETRY

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
SERVICES, AUTOMANAGED = "apiservices.apiregistration.k8s.io", "kube-aggregator.kubernetes.io/automanaged"
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
APISERVER = User("system:apiserver", ("system:masters",))


class CustomResources:
    """Serves what the stored definitions define."""

    def __init__(self, registry: Registry):
        self.registry, self.loop, self.served = registry, registry.loop, registry.resources
        resource = self.served.find(CRDS)
        assert resource is not None
        self.resource = resource
        hub = registry.storage.cache(resource.storage).hub
        watch = Watch(hub, self.loop, Filter(), self._on_event)
        initial_events(watch, registry.storage.select(resource.storage))
        hub.add(watch)

    def definitions(self, group: str, version: str) -> dict[str, Object]:
        """The OpenAPI schemas of the custom kinds in a group and version."""
        found: dict[str, Object] = {}
        for resource in self.served.of(group, version):
            if resource.custom:
                found |= _openapi(resource, resource.custom)
        return found

    # --- following the definitions --------------------------------------------------------------------------
    def _on_event(self, type: str, definition: Object) -> None:
        if type == "DELETED":
            self._unserve(definition)
            return
        current = self.registry.find(self.resource, "", definition["metadata"]["name"])
        if current is not None:
            self._sync(current)

    def _sync(self, definition: Object) -> None:
        if "deletionTimestamp" in definition["metadata"]:
            self._clean_up(definition)
            return
        accepted = self._with_names(definition)
        if accepted["status"] != definition.get("status"):
            self._write(accepted)  # comes back as an event
        elif _is(definition, "Established"):
            self._serve(definition)

    def _with_names(self, definition: Object) -> Object:
        """The definition with its names accepted, or the condition that says which are taken."""
        spec, status = definition["spec"], definition.get("status") or {}
        names, conflict = spec["names"], self._conflict(definition)
        accepted = dict(names) if conflict is None else status.get("acceptedNames") or {"plural": "", "kind": ""}
        conditions = list(status.get("conditions") or ())
        if conflict is None:
            self._set(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
            self._set(conditions, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
        else:
            self._set(conditions, "NamesAccepted", "False", *conflict)
            if not _is(definition, "Established"):
                self._set(conditions, "Established", "False", "NotAccepted", "not all names are accepted")
        stored = list(status.get("storedVersions") or ())
        stored += [v["name"] for v in spec["versions"] if v.get("storage") and v["name"] not in stored]
        new = {**status, "conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}
        return {**definition, "status": new}

    def _conflict(self, definition: Object) -> tuple[str, str] | None:
        spec, own = definition["spec"], definition["spec"]["names"]["plural"]
        others = [r for r in self.served if r.group == spec["group"] and r.name != own]
        taken = {r.name for r in others} | {r.singular for r in others} | {n for r in others for n in r.short_names}
        kinds = {r.kind for r in others} | {r.custom.list_kind if r.custom else f"{r.kind}List" for r in others}
        names = spec["names"]
        for reason, name, used in (
            ("PluralConflict", names["plural"], taken),
            ("SingularConflict", names.get("singular"), taken),
            *(("ShortNamesConflict", short, taken) for short in names.get("shortNames") or ()),
            ("KindConflict", names["kind"], kinds),
            ("ListKindConflict", names.get("listKind"), kinds),
        ):
            if name in used:
                return reason, f'"{name}" is already in use'
        return None

    def _set(self, conditions: list[Object], type: str, status: str, reason: str, message: str) -> None:
        for index, each in enumerate(conditions):
            if each["type"] == type:
                if (each["status"], each["reason"]) != (status, reason):
                    since = self.loop.timestamp() if each["status"] != status else each["lastTransitionTime"]
                    conditions[index] = _condition(type, status, reason, message, since)
                return
        conditions.append(_condition(type, status, reason, message, self.loop.timestamp()))

    def _write(self, definition: Object) -> None:
        try:
            self.registry.rewrite(self.resource, definition)
        except errors.StatusError as error:
            if not errors.is_conflict(error):
                raise  # somebody was faster: their event comes next

    # --- serving --------------------------------------------------------------------------------------------
    def _serve(self, definition: Object) -> None:
        spec, names = definition["spec"], definition["status"]["acceptedNames"]
        stored = next(v["name"] for v in spec["versions"] if v.get("storage"))
        served = [v for v in spec["versions"] if v.get("served")]
        for old in self._resources(definition):
            if old.version not in {v["name"] for v in served}:
                self.served.remove(old.group, old.version, old.name)
        meta = self.registry.schema.type("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        for version in served:
            known = self.served.get(spec["group"], version["name"], names["plural"])
            custom = Custom(
                f"{spec['group']}/{version['name']}",
                names["kind"],
                names.get("listKind") or f"{names['kind']}List",
                version,
                meta,
            )
            if known and known.custom and known.custom.version == version and known.short_names == _short(names):
                continue
            self.served.add(_resource(spec, names, version, stored, custom))
        self._register(spec["group"])

    def _resources(self, definition: Object) -> list[Resource]:
        spec = definition["spec"]
        return [r for r in self.served if r.custom and (r.group, r.name) == (spec["group"], spec["names"]["plural"])]

    def _unserve(self, definition: Object) -> None:
        for resource in self._resources(definition):
            self.served.remove(resource.group, resource.version, resource.name)
            for watch in self.registry.storage.cache(resource.storage).hub.all():
                watch.end()
        self._register(definition["spec"]["group"])

    def _register(self, group: str) -> None:
        """Keep an APIService for each version of the group that is served, as kube-aggregator's autoregister does."""
        services = self.served.find(SERVICES)
        assert services is not None
        wanted = {f"{r.version}.{group}": r.version for r in self.served if r.group == group and r.custom}
        have = {
            each["metadata"]["name"]: each
            for each in self.registry.storage.select(services.storage)
            if each["spec"].get("group") == group and AUTOMANAGED in (each["metadata"].get("labels") or {})
        }
        for name in sorted(wanted.keys() - have.keys()):
            spec = {"group": group, "version": wanted[name], "groupPriorityMinimum": 1000, "versionPriority": 100}
            local = {"reason": "Local", "message": "Local APIServices are always available"}
            since = {"lastTransitionTime": self.loop.timestamp()}
            self.registry.install(
                {
                    "apiVersion": services.api_version,
                    "kind": "APIService",
                    "metadata": {"name": name, "labels": {AUTOMANAGED: "true"}},
                    "spec": spec,
                    "status": {"conditions": [{"type": "Available", "status": "True", **since, **local}]},
                }
            )
        for name in sorted(have.keys() - wanted.keys()):
            self.registry.storage.delete(services.storage, "", name, have[name]["metadata"]["resourceVersion"])

    # --- deleting -------------------------------------------------------------------------------------------
    def _clean_up(self, definition: Object) -> None:
        """Delete the objects, then let the definition go."""
        meta = definition["metadata"]
        if CRD_CLEANUP not in (meta.get("finalizers") or ()):
            return
        left = self._delete_objects(definition)
        status = definition.get("status") or {}
        conditions = list(status.get("conditions") or ())
        if left:
            self._set(
                conditions,
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
            )
            new = {**definition, "status": {**status, "conditions": conditions}}
            if new != definition:
                self._write(new)
            self.loop.call_later(CRD_CLEANUP_RETRY, self._retry, meta["name"])
            return
        kept = [name for name in meta["finalizers"] if name != CRD_CLEANUP]
        request = Request(verb="update", resource=self.resource, name=meta["name"], user=APISERVER, in_process=True)
        self.registry.update(request, lambda old: {**old, "metadata": {**old["metadata"], "finalizers": kept}})

    def _retry(self, name: str) -> None:
        definition = self.registry.find(self.resource, "", name)
        if definition is not None:
            self._sync(definition)

    def _delete_objects(self, definition: Object) -> bool:
        """Delete all objects of the kind; whether some are still there."""
        resources = self._resources(definition)
        if not resources:
            return False
        resource, storage = resources[0], self.registry.storage
        for obj in list(storage.select(resource.storage)):
            if "deletionTimestamp" in obj["metadata"]:
                continue
            request = Request(
                verb="delete", resource=resource, namespace=obj["metadata"].get("namespace", ""),
                name=obj["metadata"]["name"], user=APISERVER, in_process=True,
            )  # fmt: skip
            self.registry.delete(request, {})
        return any(storage.select(resource.storage))


def _is(definition: Object, type: str) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each["type"] == type and each["status"] == "True" for each in conditions)


def _condition(type: str, status: str, reason: str, message: str, since: str) -> Object:
    return {"type": type, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}


def _short(names: Object) -> tuple[str, ...]:
    return tuple(names.get("shortNames") or ())


def _resource(spec: Object, names: Object, version: Object, stored: str, custom: Custom) -> Resource:
    group, number = spec["group"], version["name"]
    below = {}
    verbs = ("get", "patch", "update")
    if custom.has_status:
        below["status"] = Subresource("status", names["kind"], group, number, verbs)
    if custom.scale:
        below["scale"] = Subresource("scale", "Scale", "autoscaling", "v1", verbs)
    return Resource(
        group=group,
        version=number,
        name=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        verbs=VERBS,
        short_names=_short(names),
        categories=tuple(names.get("categories") or ()),
        subresources=below,
        custom=custom,
        storage_version=stored,
    )


# --- OpenAPI -----------------------------------------------------------------------------------------------------

_META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1."
_TEXTS = {
    "apiVersion": "APIVersion defines the versioned schema of this representation of an object. Servers should convert"
    " recognized schemas to the latest internal value, and may reject unrecognized values. More info:"
    " https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
    "kind": "Kind is a string value representing the REST resource this object represents. Servers may infer this from"
    " the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info:"
    " https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
}


def _openapi(resource: Resource, custom: Custom) -> dict[str, Any]:
    """The schemas of one kind and of its list, by name."""
    prefix = ".".join([*reversed(resource.group.split(".")), resource.version])
    typed = {name: {"type": "string", "description": text} for name, text in _TEXTS.items()}

    def meta(kind: str, text: str) -> Object:
        return {"allOf": [{"$ref": _META + kind}], "default": {}, "description": text}

    def gvk(kind: str) -> list[Object]:
        return [{"group": resource.group, "version": resource.version, "kind": kind}]

    about = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/"
    own = meta("ObjectMeta", f"{about}api-conventions.md#metadata")
    properties = {**(custom.schema.get("properties") or {}), **typed, "metadata": own}
    one = {**custom.schema, "properties": properties, "x-kubernetes-group-version-kind": gvk(resource.kind)}
    many = {
        "description": f"{custom.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **typed,
            "items": {
                "description": f"List of {resource.name}. More info: https://git.k8s.io/community/contributors/devel/"
                "sig-architecture/api-conventions.md",
                "type": "array",
                "items": {"allOf": [{"$ref": f"#/components/schemas/{prefix}.{resource.kind}"}], "default": {}},
            },
            "metadata": meta("ListMeta", "Standard list metadata."),
        },
        "x-kubernetes-group-version-kind": gvk(custom.list_kind),
    }
    return {f"{prefix}.{resource.kind}": one, f"{prefix}.{custom.list_kind}": many}
