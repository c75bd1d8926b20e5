"""Tables of custom resources: the columns are their definition's additionalPrinterColumns (tableconvertor)."""

from typing import Any

import orjson

from k8s_core.api import Object, jsonpath, times
from k8s_core.api.custom import Custom
from k8s_core.apiserver.tables.cells import since


def columns(custom: Custom) -> list[Object]:
    """The definitions of the columns."""
    first = {"name": "Name", "type": "string", "format": "name", "description": custom.meta.fields["name"].doc}
    return [{**first, "priority": 0}, *map(_column, custom.columns)]


def _column(column: Object) -> Object:
    path = column["jsonPath"]
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        "priority": column.get("priority", 0),
    }


def cells(custom: Custom, obj: Object, now: float) -> list[Any]:
    """One object's cells; None where it has nothing to show."""
    return [obj["metadata"]["name"], *(_cell(column, obj, now) for column in custom.columns)]


def _cell(column: Object, obj: Object, now: float) -> Any:
    found = jsonpath.find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value, kind = found[0], column["type"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string":
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if kind == "integer":
        return int(value) if number else None
    if kind == "number":
        return float(value) if number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    try:
        times.parse(str(value))
    except ValueError:
        return "<invalid>"
    return since(value, now)
