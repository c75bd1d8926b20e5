"""(in the works)"""

from k8s_core.api.resources import Resources
from k8s_core.api.schema import Schema
from k8s_core.apiserver.request import Request, Response


class OpenAPI:
    """Answers /openapi/v3 and /openapi/v2."""

    def __init__(self, schema: Schema, resources: Resources) -> None:
        self.schema, self.resources = schema, resources

    def serve(self, request: Request) -> Response | None:
        return None
