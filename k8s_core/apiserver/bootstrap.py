"""The objects that exist as soon as a kube-apiserver runs."""

from functools import cache
from pathlib import Path

import orjson

from k8s_core.api import Object

DATA = Path(__file__).parent / "data"


@cache
def data() -> dict[str, list[Object]]:
    """The compact form of what a real v1.36 apiserver creates: plural -> objects without their common metadata."""
    found: dict[str, list[Object]] = orjson.loads((DATA / "bootstrap.json").read_bytes())
    return found


def node_rules() -> list[Object]:
    """The rules of the ClusterRole system:node, which the node authorizer has built in."""
    rules: list[Object] = next(r["rules"] for r in data()["clusterroles"] if r["metadata"]["name"] == "system:node")
    return rules
