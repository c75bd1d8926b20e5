"""HorizontalPodAutoscalers: what is logic. Stands for `pkg/apis/autoscaling/validation`."""

from typing import Final

from k8s_core.api import Object
from k8s_core.api.field import forbidden, invalid, required
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, number, text

SOURCES: Final = ("object", "external", "pods", "resource", "containerResource")


def replicas_in_order(spec: Object, path: str) -> Errors:
    """There are not fewer at most than at least."""
    low, high = (spec or {}).get("minReplicas"), number(spec or {}, "maxReplicas")
    if low is not None and high < low:
        yield invalid(f"{path}.maxReplicas", high, "must be greater than or equal to `minReplicas`")


def metric_source(metric: Object, path: str) -> Errors:
    """A metric has the source that its type names, and no other."""
    kind = text(metric, "type")
    present = [name for name in SOURCES if metric.get(name) is not None]
    for name in present[:1]:
        yield from tags.validate(f"{name[0].upper()}{name[1:]}MetricSource", metric[name], f"{path}.{name}")
    expected = kind[:1].lower() + kind[1:]
    if expected in SOURCES and kind[0].isupper() and expected not in present:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    for name in present if len(present) > 1 else ():
        if name != expected:
            yield forbidden(f"{path}.{name}", "must populate the given metric source only")
