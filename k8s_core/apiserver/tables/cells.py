"""What the columns of many resources have in common: ages, paths into an object, selectors, containers.

A column is a function of the object and the time, in seconds since the epoch, and gives the cell's value.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from k8s_core.api import Object, selectors, times

Column = Callable[[Object, float], Any]

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"


def get(obj: Any, *path: str) -> Any:
    """The value at a path, None if any part of it is missing."""
    for name in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def at(path: str, default: Any = "") -> Column:
    """A column that shows the value at a dotted path; `default` where there is none or it is empty."""
    names = path.split(".")

    def column(obj: Object, now: float) -> Any:
        value = get(obj, *names)
        return default if value is None or value == "" else value

    return column


def count(*paths: str) -> Column:
    """A column that counts the entries of lists or maps."""
    split = [path.split(".") for path in paths]
    return lambda obj, now: sum(len(get(obj, *names) or ()) for names in split)


def name(obj: Object, now: float) -> str:
    """The object's name."""
    found: str = obj["metadata"].get("name", "")
    return found


def age(obj: Object, now: float) -> str:
    """How long ago the object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def created_at(obj: Object, now: float) -> str | None:
    """When the object was created: the default table does not make an age of it."""
    found: str | None = obj["metadata"].get("creationTimestamp")
    return found


def since(timestamp: str | None, now: float) -> str:
    """The time since a timestamp, as people read it; "<unknown>" for none."""
    return human_duration(now - times.parse(timestamp)) if timestamp else UNKNOWN


def human_duration(seconds: float) -> str:
    """A duration in its two largest units: apimachinery's duration.HumanDuration."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def format_labels(labels: Mapping[str, str] | None) -> str:
    """Labels in order, "a=1,b=2"; "<none>" for none."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if labels else NONE


def labels_at(*path: str) -> Column:
    """A column that shows a map of labels."""
    return lambda obj, now: format_labels(get(obj, *path))


def selector_at(*path: str, empty: str = NONE) -> Column:
    """A column that shows a label selector."""

    def column(obj: Object, now: float) -> str:
        try:
            return str(selectors.from_label_selector(get(obj, *path) or {})) or empty
        except ValueError:
            return "<error>"

    return column


def container_names(*path: str) -> Column:
    """A column with the names of a pod template's containers."""
    return lambda obj, now: ",".join(c.get("name", "") for c in get(obj, *path, "containers") or ())


def container_images(*path: str) -> Column:
    """A column with the images of a pod template's containers."""
    return lambda obj, now: ",".join(c.get("image", "") for c in get(obj, *path, "containers") or ())


def ratio(ready: str, desired: str) -> Column:
    """A column "ready/desired" of two numbers."""
    one, other = at(ready, 0), at(desired, 0)
    return lambda obj, now: f"{one(obj, now)}/{other(obj, now)}"


def joined(*path: str, default: str = "") -> Column:
    """A column that shows a list of strings."""
    return lambda obj, now: ",".join(get(obj, *path) or ()) or default


def condition(obj: Object, type: str) -> Object | None:
    """The object's status condition of a type."""
    return next((c for c in get(obj, "status", "conditions") or () if c.get("type") == type), None)


def has_condition(obj: Object, type: str) -> bool:
    """Whether the object's condition of a type is True."""
    found = condition(obj, type)
    return found is not None and found.get("status") == "True"


def first(items: Iterable[str], limit: int, *, empty: str = "") -> str:
    """The first few of a list, and how many more there are."""
    found = list(items)
    text = ",".join(found[:limit])
    return f"{text} + {len(found) - limit} more..." if len(found) > limit else text or empty
