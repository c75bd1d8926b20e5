"""What every admission plugin is: a name, what it looks at, and two chances to act (apiserver pkg/admission)."""

from collections.abc import Sequence
from typing import ClassVar

from k8s_core.api import Object, defaults, errors
from k8s_core.apiserver.authorization import Authorizer
from k8s_core.apiserver.backends import Backends
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Request
from k8s_core.clock import Loop

CREATE, UPDATE, DELETE = "CREATE", "UPDATE", "DELETE"
MIRROR = "kubernetes.io/config.mirror"


class Plugin:
    """One plugin. `mutate` may change `obj`, a private copy, in place; both may refuse with StatusError.

    `obj` is None when something is deleted, `old` when it is created. `resources` are plural names with their
    groups ("deployments.apps"); empty means every resource.
    """

    name: ClassVar[str]
    by_default: ClassVar[bool] = True
    resources: ClassVar[frozenset[str]] = frozenset()
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE})
    configuration: Object = {}  # noqa: RUF012  replaced, never changed
    """What --admission-control-config-file says of this plugin."""

    def __init__(
        self, reader: Reader, loop: Loop, authorizer: Authorizer | None = None, backends: Backends | None = None
    ) -> None:
        self.reader, self.loop, self.authorizer, self.backends = reader, loop, authorizer, backends

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        """Complete the object."""

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        """Look at the object as it would be stored."""

    def find(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """The stored object or None."""
        try:
            return self.reader.get(resource, name, namespace)
        except errors.StatusError as error:
            if errors.is_not_found(error):
                return None
            raise


def forbidden(request: Request, obj: Object | None, why: str, causes: Sequence[Object] = ()) -> errors.StatusError:
    """403 from a plugin. While an object is created a generated name is not known yet: its prefix is shown."""
    assert request.resource is not None
    metadata = (obj or {}).get("metadata") or {}
    name = metadata.get("generateName") if request.verb == "create" else ""
    return errors.forbidden(request.resource, name or request.name or metadata.get("name") or "Unknown", why, causes)


def take(obj: Object, changed: Object) -> bool:
    """Make `obj` what it was changed to; whether that is something else."""
    if changed == obj:
        return False
    obj.clear()
    obj.update(changed)
    defaults.apply(obj)
    return True
