"""What objects are: kinds, schema, names, selectors, quantities, defaulting, validation, patches, apply."""

from typing import Any

Object = dict[str, Any]
"""An API object exactly as the wire carries it: plain JSON values, never changed in place once stored."""

Objects = list[Object]
