"""The garbage collector: what an object owns goes when it goes, unless it is to be orphaned.

Three ways an owner can go. Background: it is gone at once, and its dependents are deleted because their owner is no
more. Foreground: it stays, with the finalizer foregroundDeletion, until the last dependent that blocks it is gone.
Orphan: its dependents first lose their reference to it (finalizer orphan), then it goes.

Promises: an object is deleted only after each of its owners was looked up at the API server and found gone (another
object of the same name is not the owner); the graph of who owns whom comes from watching every deletable resource.
Stands for pkg/controller/garbagecollector. Where upstream keeps a node for every object, this keeps one only for what
has an owner or is waiting: the other nodes are known by the references to them.
"""

from dataclasses import dataclass, field
from typing import Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found
from k8s_core.api.resources import Resource
from k8s_core.client.informer import Informer
from k8s_core.controllers.controller import Controller, is_deleting
from k8s_core.limits import GC_DISCOVERY_PERIOD, GC_UNKNOWN_KIND_RETRY

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
IGNORED = {"events", "events.events.k8s.io"}


@dataclass(slots=True, eq=False)
class Node:
    """Where an object is, and who owns it."""

    resource: str
    namespace: str
    name: str
    uid: str
    owners: list[Object] = field(default_factory=list)
    deleting_dependents: bool = False


class GarbageCollector(Controller):
    name = "garbage-collector-controller"
    aliases = ("garbagecollector",)
    account = "generic-garbage-collector"
    component = "garbage-collector-controller"

    def setup(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.dependents: dict[str, dict[str, Node]] = {}
        self.watched: dict[str, Informer] = {}
        self.generation = -1
        self.orphaning = self.new_queue(self.orphan_dependents, f"{self.name}-orphan")
        self.watch_all()
        self.every(GC_DISCOVERY_PERIOD, self.watch_all)

    def watch_all(self) -> None:
        """Watch every resource that can be deleted; custom ones come and go."""
        resources = self.client.resources
        if resources.generation == self.generation:
            return
        self.generation = resources.generation
        for resource in resources:
            name = resource.group_resource
            wanted = {"delete", "list", "watch"} <= set(resource.verbs) and resources.find(name) is resource
            if wanted and name not in IGNORED and name not in self.watched:
                self.watched[name] = self.watch(resource)

    def watch(self, resource: Resource) -> Informer:
        name = resource.group_resource
        return self.informer(
            name,
            lambda obj: self.observed(name, {}, obj),
            lambda old, new: self.observed(name, old["metadata"], new),
            self.deleted,
        )

    # --- the graph ------------------------------------------------------------------------------------------
    def observed(self, resource: str, was: dict[str, Any], obj: Object) -> None:
        """An object was added or changed; `was` is its former metadata, empty if it is new to us."""
        metadata = obj["metadata"]
        references = metadata.get("ownerReferences") or []
        if references != (was.get("ownerReferences") or []):
            self.relink(self.node(resource, metadata), references)
        if is_deleting(obj):
            finalizers = metadata.get("finalizers") or ()
            had = (was.get("finalizers") or ()) if was.get("deletionTimestamp") else ()
            if ORPHAN in finalizers and ORPHAN not in had:
                self.node(resource, metadata)
                self.orphaning.add(metadata["uid"])
            elif FOREGROUND in finalizers and FOREGROUND not in had:
                self.node(resource, metadata).deleting_dependents = True
                for uid in self.dependents.get(metadata["uid"], {}):
                    self.queue.add(uid)
                self.queue.add(metadata["uid"])

    def node(self, resource: str, metadata: Object) -> Node:
        uid = metadata["uid"]
        if uid not in self.nodes:
            self.nodes[uid] = Node(resource, metadata.get("namespace", ""), metadata["name"], uid)
        return self.nodes[uid]

    def relink(self, node: Node, references: list[Object]) -> None:
        before, now = ({each["uid"]: each for each in refs} for refs in (node.owners, references))
        node.owners = references
        for uid in before.keys() - now.keys():
            self.unlink(node, uid)
        for uid, reference in now.items():
            if uid not in before:
                self.dependents.setdefault(uid, {})[node.uid] = node
                if not self.is_known(reference, node):
                    self.queue.add(node.uid)  # an owner that nobody has seen: perhaps it never was
            elif before[uid].get("blockOwnerDeletion") and not reference.get("blockOwnerDeletion"):
                self.queue.add(uid)

    def unlink(self, node: Node, owner: str) -> None:
        siblings = self.dependents.get(owner, {})
        siblings.pop(node.uid, None)
        if not siblings:
            self.dependents.pop(owner, None)
        if owner in self.nodes and self.nodes[owner].deleting_dependents:
            self.queue.add(owner)

    def is_known(self, reference: Object, node: Node) -> bool:
        """Whether the cache has the owner; if not, that means nothing yet."""
        resource = self.resource_of(reference)
        informer = self.watched.get(resource.group_resource) if resource else None
        if resource is None or informer is None:
            return False
        owner = informer.get(reference["name"], node.namespace if resource.namespaced else "")
        return owner is not None and bool(owner["metadata"]["uid"] == reference["uid"])

    def deleted(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        for dependent in self.dependents.get(uid, {}):
            self.queue.add(dependent)
        self.forget(uid)

    def forget(self, uid: str) -> None:
        node = self.nodes.pop(uid, None)
        for reference in node.owners if node else ():
            assert node is not None
            self.unlink(node, reference["uid"])

    # --- deleting -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        """Delete the object with this uid if all its owners are gone or wait for it to go."""
        node = self.nodes.get(key)
        latest = self.latest(node) if node else None
        if node is None or latest is None:
            return
        if is_deleting(latest):
            if node.deleting_dependents:
                self.finish_foreground(node, latest)
            return
        references = latest["metadata"].get("ownerReferences") or []
        solid, dangling, waiting = self.classify(node, references)
        if solid:
            if gone := [*dangling, *waiting]:
                self.drop_references(node, latest, {each["uid"] for each in gone})
        elif dangling or waiting:
            finalizers = latest["metadata"].get("finalizers") or ()
            if waiting and self.dependents.get(node.uid):
                if any(each.deleting_dependents for each in self.dependents[node.uid].values()):
                    self.unblock(node, latest)  # perhaps a circle: then nobody may wait for anybody
                policy = "Foreground"
            elif ORPHAN in finalizers:
                policy = "Orphan"
            else:
                policy = "Foreground" if FOREGROUND in finalizers else "Background"
            self.delete(node, policy)

    def latest(self, node: Node) -> Object | None:
        """The object as the API server has it now; None, and forgotten, if it is gone or another one."""
        try:
            found = self.client.get(node.resource, node.name, node.namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise
        else:
            if found["metadata"]["uid"] == node.uid:
                return found
        self.forget(node.uid)
        return None

    def classify(self, node: Node, references: list[Object]) -> tuple[list[Object], list[Object], list[Object]]:
        """Owners that stay, owners that are gone, owners that wait for their dependents to go."""
        solid, dangling, waiting = [], [], []
        for reference in references:
            resource = self.resource_of(reference)
            if resource is None:
                solid.append(reference)  # a kind that may yet come
                self.queue.add_after(node.uid, GC_UNKNOWN_KIND_RETRY, background=True)
                continue
            if resource.namespaced and not node.namespace:
                solid.append(reference)
                self.report_impossible_owner(node, reference)
                continue
            owner = self.owner(resource, reference, node)
            if owner is None:
                dangling.append(reference)
            elif is_deleting(owner) and FOREGROUND in (owner["metadata"].get("finalizers") or ()):
                waiting.append(reference)
            else:
                solid.append(reference)
        return solid, dangling, waiting

    def owner(self, resource: Resource, reference: Object, node: Node) -> Object | None:
        namespace = node.namespace if resource.namespaced else ""
        try:
            found = self.client.get(resource.group_resource, reference["name"], namespace)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        return found if found["metadata"]["uid"] == reference["uid"] else None

    def resource_of(self, reference: Object) -> Resource | None:
        group, _, version = reference["apiVersion"].rpartition("/")
        return self.client.resources.by_kind(group, version, reference["kind"])

    def delete(self, node: Node, policy: str) -> None:
        with ignoring(is_not_found):
            self.client.delete(node.resource, node.name, node.namespace, uid=node.uid, propagation=policy)

    def finish_foreground(self, node: Node, latest: Object) -> None:
        """Let the owner go when nothing blocks it any more; until then see to it that what blocks it goes."""
        blocking = [
            each
            for each in self.dependents.get(node.uid, {}).values()
            if any(ref["uid"] == node.uid and ref.get("blockOwnerDeletion") for ref in each.owners)
        ]
        if not blocking:
            self.remove_finalizer(node, latest, FOREGROUND)
        for each in blocking:
            if not each.deleting_dependents:
                self.queue.add(each.uid)

    # --- orphaning ------------------------------------------------------------------------------------------
    def orphan_dependents(self, key: str) -> None:
        """Take the reference to this owner from all it owns, then let it go."""
        node = self.nodes.get(key)
        latest = self.latest(node) if node else None
        if node is None or latest is None:
            return
        for dependent in list(self.dependents.get(key, {}).values()):
            if found := self.latest(dependent):
                self.drop_references(dependent, found, {key})
        self.remove_finalizer(node, latest, ORPHAN)

    # --- writing --------------------------------------------------------------------------------------------
    def drop_references(self, node: Node, latest: Object, owners: set[str]) -> None:
        references = latest["metadata"].get("ownerReferences") or []
        kept = [each for each in references if each["uid"] not in owners]
        self.patch(node, latest, {"ownerReferences": kept or None})

    def unblock(self, node: Node, latest: Object) -> None:
        references = latest["metadata"].get("ownerReferences") or []
        self.patch(node, latest, {"ownerReferences": [{**each, "blockOwnerDeletion": False} for each in references]})

    def remove_finalizer(self, node: Node, latest: Object, finalizer: str) -> None:
        finalizers = latest["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            self.patch(node, latest, {"finalizers": [each for each in finalizers if each != finalizer] or None})

    def patch(self, node: Node, latest: Object, metadata: Object) -> None:
        """A merge patch, which custom resources take too, of just the revision that was looked at."""
        metadata["resourceVersion"] = latest["metadata"]["resourceVersion"]
        with ignoring(is_not_found):
            self.client.patch(node.resource, node.name, node.namespace, {"metadata": metadata})

    def report_impossible_owner(self, node: Node, reference: Object) -> None:
        message = (
            f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: {node.namespace}, "
            f"name: {reference['name']}, uid: {reference['uid']}] does not exist in namespace {node.namespace!r}"
        )
        found = self.client.get(node.resource, node.name, node.namespace)
        self.recorder.event(found, "Warning", "OwnerRefInvalidNamespace", message)
