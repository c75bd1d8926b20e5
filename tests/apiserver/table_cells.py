"""Cells that a table shows of an object given as YAML, at a fixed time."""

from typing import Any

import yaml

from k8s_core.api import resources
from k8s_core.apiserver import tables

RESOURCES = resources.load()
NOW = 1767225600.0 + 3600  # 2026-01-01T01:00:00Z
CREATED = "2026-01-01T00:55:59Z"  # four minutes and a second ago


def cells(resource: str, text: str) -> list[Any]:
    """The cells of an object given as YAML; name and time of creation are filled in."""
    obj = yaml.safe_load(text) or {}
    obj["metadata"] = {"name": "x", "creationTimestamp": CREATED} | obj.get("metadata", {})
    found = RESOURCES.find(resource)
    assert found is not None
    row = tables.render(found, [obj], now=NOW)["rows"][0]
    assert len(row["cells"]) == len(tables.columns_for(found))
    result: list[Any] = row["cells"]
    return result
