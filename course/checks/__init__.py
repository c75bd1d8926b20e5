"""The check language: what is observed, what is expected, and the kubectl command that shows it.

A task's check is a function that looks at a cluster and yields points:

    def sidecar(see: Look, v: Values) -> Points:
        pod = see.get("pods", v.pod)
        yield point("the Pod runs", pod["status.phase"], "Running", f"kubectl get pod {v.pod}")

Every point is reported, not only the first that failed. A check sees the cluster through the Kubernetes API alone
(`Look`), so it says the same of a real cluster; it is run when the cluster has settled. Where a goal is about what
happened on the way ("nobody was without an answer"), it asks for the recorded past: versions, requests, connections,
DNS queries. A real cluster has none, and the report says so.
"""

from course.checks.look import Look, Seen, pick
from course.checks.report import Point, Points, Report, point, run
from course.checks.rules import Rule, at_least, contains, excludes, one_of, present, same_items

__all__ = [
    "Look",
    "Point",
    "Points",
    "Report",
    "Rule",
    "Seen",
    "at_least",
    "contains",
    "excludes",
    "one_of",
    "pick",
    "point",
    "present",
    "run",
    "same_items",
]
