"""Defaulting: what kube-apiserver fills into an object that leaves it out.

Stands for `pkg/apis/*/v*/defaults.go` and the part of the v1 conversions that users see. `apply` changes the
private copy on its way in. It first gives the object the shape that Go's types give it on the wire (`shape.py`:
empty values that are never written, empty structs that always are), then fills in `table.py`, then what needs
code (`pods.py`, `objects.py`). Applying it twice changes nothing. What depends on other objects (cluster IPs, the
default StorageClass, a Pod's priority) is admission's or an allocator's; what a create alone sets (uid,
generation, a Job's selector) is the registry's.
"""

from k8s_core.api import Object
from k8s_core.api.defaults import objects, pods, shape, table


def apply(obj: Object, old: Object | None = None) -> None:
    """Fill in defaults in place; parts of `obj` that are `old`'s own (`is`) are left alone, for they have them."""
    key = (obj.get("apiVersion", ""), obj.get("kind", ""))
    shape.normalize(obj, key, old)
    if old is not None and _same(obj, old, "spec"):
        return
    objects.before(obj, key)
    pods.apply(obj, key)
    table.apply(obj, f"{key[0]} {key[1]}")
    objects.after(obj, key)


def apply_status(obj: Object, old: Object) -> None:
    """Bring a status that somebody wrote into wire shape, in place; nothing else of `obj` is looked at."""
    shape.normalize(obj, (obj.get("apiVersion", ""), obj.get("kind", "")), old)
    if obj.get("kind") == "Service" and (obj.get("spec") or {}).get("type") == "LoadBalancer":
        objects.balancer_modes(obj)


def _same(obj: Object, old: Object, name: str) -> bool:
    return name in obj and obj[name] is old.get(name)
