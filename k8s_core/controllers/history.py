"""ControllerRevisions: the numbered snapshots by which DaemonSets and StatefulSets remember their templates.

Stands for pkg/controller/history.
"""

from collections.abc import Callable

import orjson

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_already_exists, is_not_found
from k8s_core.api.selectors import from_label_selector
from k8s_core.controllers import deployment_util, spew
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, controller_reference

REVISIONS = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"
"""On Pods: which revision they are of. On a DaemonSet's revisions too."""
STATEFUL_HASH_LABEL = "controller.kubernetes.io/hash"
MAX_PREFIX = 223  # what a ControllerRevision's name leaves for its owner's


def template_hash(data: Object, collisions: int | None) -> str:
    """A DaemonSet's revisions are named by the hash of their template."""
    template = {key: value for key, value in data["spec"]["template"].items() if key != "$patch"}
    return deployment_util.template_hash(template, collisions)


def data_hash(data: Object, collisions: int | None) -> str:
    """A StatefulSet's by the hash of their data as Go writes JSON (HashControllerRevision)."""
    raw = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    for char, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        raw = raw.replace(char, escape)
    return spew.safe_encode(spew.fnv1(raw + (b"" if collisions is None else str(collisions).encode())))


def hash_of(revision: Object) -> str:
    return str((revision["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


class History:
    """The revisions of a controller's objects, which are of `owners`. Matching orphans are adopted."""

    def __init__(
        self,
        controller: Controller,
        owners: str,
        hasher: Callable[[Object, int | None], str] = template_hash,
        label: str = HASH_LABEL,
    ) -> None:
        self.client, self.owners, self.hasher, self.label = controller.client, owners, hasher, label
        self.revisions = controller.informer(REVISIONS)
        podutil.index_by_controller(self.revisions)

    def owned(self, owner: Object) -> list[Object]:
        """Oldest first."""
        selector = from_label_selector(owner["spec"]["selector"])
        found = podutil.claimable(self.revisions, owner)
        claimed = podutil.claim(self.client, REVISIONS, owner, self.owners, found, selector)
        claimed.sort(key=lambda r: (r["revision"], r["metadata"]["creationTimestamp"], r["metadata"]["name"]))
        return claimed

    def current(
        self, owner: Object, template: Object, collisions: int | None, labels: dict[str, str]
    ) -> tuple[Object, list[Object], int | None]:
        """The revision of the owner's present template, all its revisions in order, and the collision count.

        One that was there before is given the newest number again; a new one is made.
        """
        revisions = self.owned(owner)
        data = {"spec": {"template": {**template, "$patch": "replace"}}}
        number = revisions[-1]["revision"] + 1 if revisions else 1
        same = [each for each in revisions if each["data"] == data]
        if same:
            found = same[-1]
            if found is not revisions[-1]:
                newest = self.client.update(REVISIONS, {**found, "revision": number})
                revisions = [*(each for each in revisions if each is not found), newest]
                found = newest
            return found, revisions, collisions
        while True:
            digest = self.hasher(data, collisions)
            name = owner["metadata"]["name"][:MAX_PREFIX]
            revision: Object = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": f"{name}-{digest}",
                    "namespace": owner["metadata"]["namespace"],
                    "labels": {**labels, self.label: digest},
                    "annotations": dict(owner["metadata"].get("annotations") or {}),
                    "ownerReferences": [controller_reference(owner)],
                },
                "data": data,
                "revision": number,
            }
            try:
                created = self.client.create(REVISIONS, revision)
            except StatusError as error:
                if not is_already_exists(error):
                    raise
                metadata = revision["metadata"]
                known = self.client.get(REVISIONS, metadata["name"], metadata["namespace"])
                if known["data"] != data:
                    collisions = (collisions or 0) + 1
                    continue
                created = known
            return created, [*revisions, created], collisions

    def truncate(self, owner: Object, revisions: list[Object], live: set[str]) -> None:
        """Delete the oldest revisions that no Pod is of, beyond revisionHistoryLimit. `live` are their names."""
        limit = owner["spec"].get("revisionHistoryLimit")
        unused = [each for each in revisions if each["metadata"]["name"] not in live]
        for each in unused[: max(0, len(unused) - (10 if limit is None else limit))]:
            with ignoring(is_not_found):
                self.client.delete(REVISIONS, each["metadata"]["name"], each["metadata"]["namespace"])
