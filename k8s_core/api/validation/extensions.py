"""What extends the API: what is logic.

Stands for `apiextensions/validation`, `admissionregistration/validation` and `apiregistration/validation`. Leaves
out: the finer rules of structural schemas, costs of CEL expressions.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from k8s_core.api import Object, cel, names
from k8s_core.api.cel import schemas
from k8s_core.api.field import forbidden, invalid, required
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, bad, each, immutable, listed, sub, text

REVIEW_VERSIONS: Final = ("v1", "v1beta1")
RULE_VARIABLES: Final = ("self", "oldSelf")
POLICY_VARIABLES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables", "authorizer")
URL_FORM: Final = "; desired format: https://host[/path]"
STARRED: Final = {"operations": "operations", "apiGroups": "API groups", "apiVersions": "API versions"}


def definition_name(obj: Object) -> Errors:
    """A definition is named after its resource."""
    spec = sub(obj, "spec")
    name, wanted = text(sub(obj, "metadata"), "name"), f"{text(sub(spec, 'names'), 'plural')}.{text(spec, 'group')}"
    if name and name != wanted:
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def same_definition(new: Object, path: str, within: Any, old: Object) -> Errors:
    """What a definition's objects are called in storage stays."""
    after, before = sub(new, "spec"), sub(old, "spec")
    new_names, old_names = sub(after, "names"), sub(before, "names")
    if any((c or {}).get("type") == "Established" and (c or {}).get("status") == "True" for c in _conditions(old)):
        yield from immutable("spec.scope", after.get("scope"), before.get("scope"))
        yield from immutable("spec.names.kind", new_names.get("kind"), old_names.get("kind"))
    yield from immutable("spec.group", after.get("group"), before.get("group"))
    yield from immutable("spec.names.plural", new_names.get("plural"), old_names.get("plural"))


def _conditions(obj: Object) -> list[Object | None]:
    return listed(sub(obj, "status"), "conditions")


def versions(found: list[Object | None] | None, path: str) -> Errors:
    """The versions of a definition; a schema that all of them have is found wrong once."""
    given = [version or {} for version in found or ()]
    schemas = [sub(version, "schema") for version in given]
    hoisted = "spec.validation" if all(each == schemas[0] for each in schemas) else ""
    for index, version in enumerate(given):
        place = f"{path}[{index}]"
        schema = "" if index and hoisted else hoisted or f"{place}.schema"
        yield from tags.validate("CustomResourceDefinitionVersion", version, place, schema)
    if len({text(version, "name") for version in given}) < len(given):
        yield invalid(path, found, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in given) != 1:
        yield invalid(path, found or None, "must have exactly one version marked as storage version")


def version_schema(version: Object | None, path: str, within: Object, place: str) -> Errors:
    """The schema of a version; `place` is what it is called, nothing if it need not be looked at."""
    schema = (version or {}).get("openAPIV3Schema")
    if schema is None or not place:
        return
    place = f"{place}.openAPIV3Schema"
    if schema.get("nullable"):
        yield forbidden(f"{place}.nullable", "nullable cannot be true at the root")
    if not schema.get("type"):
        yield required(f"{place}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid(f"{place}.type", schema["type"], "must be object at the root")
    yield from _structural(schema, place)


def replicas_path(value: str, path: str) -> Errors:
    """Where a custom object has the number that scaling is about."""
    root = "." + path.rpartition(".")[2].removesuffix("ReplicasPath")
    if not value.startswith(root + "."):
        yield invalid(path, value, f"should be a json path under {root}")


def _structural(schema: Object, path: str, *, root: bool = True) -> Errors:
    """A schema and all below it: types are there, rules can be compiled."""
    for place, rule in each(schema, "x-kubernetes-validations", path):
        yield from _compiles(f"{place}.rule", text(rule, "rule"), RULE_VARIABLES, rule, schema, root=root)
    if schema.get("properties") and schema.get("additionalProperties"):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    below = [
        (f"{path}.properties[{name}]", inner, "object fields") for name, inner in sub(schema, "properties").items()
    ]
    for field, what in (("items", "array items"), ("additionalProperties", "object fields")):
        if isinstance(schema.get(field), dict):
            below.append((f"{path}.{field}", schema[field], what))
    for place, inner, what in below:
        untyped = not (inner.get("x-kubernetes-int-or-string") or inner.get("x-kubernetes-preserve-unknown-fields"))
        if untyped and not inner.get("type"):
            yield required(f"{place}.type", f"must not be empty for specified {what}")
        yield from _structural(inner, place, root=bool(inner.get("x-kubernetes-embedded-resource")))


def not_the_kind(value: str, path: str, given: Object) -> Errors:
    """A list is not one of its items."""
    if value == given.get("kind"):
        yield invalid(path, value, "kind and listKind may not be the same")


def https_url(url: str, path: str) -> Errors:
    """Where a webhook is."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{URL_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, "'https' is the only allowed URL scheme" + URL_FORM)
    if not parts.netloc:
        yield invalid(path, "", "host must be specified" + URL_FORM)
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        yield invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def review_versions(found: list[str] | None, path: str) -> Errors:
    """A webhook speaks a version that is spoken here."""
    versions, accepted = [version or "" for version in found or ()], ", ".join(REVIEW_VERSIONS)
    if not versions:
        yield required(path, f"must specify one of {accepted}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            yield from bad(f"{path}[{index}]", version, names.dns1035_label(version))
    if not set(versions) & set(REVIEW_VERSIONS):
        yield invalid(path, versions, f"must include at least one of {accepted}")


def lone_star(values: list[str] | None, path: str) -> Errors:
    """Everything is enough."""
    found = [value or "" for value in values or ()]
    if len(found) > 1 and "*" in found:
        yield invalid(path, found, f"if '*' is present, must not specify other {STARRED[path.rpartition('.')[2]]}")


def wildcards(values: list[str] | None, path: str) -> Errors:
    """All resources, all without subresources, or some."""
    found = [value or "" for value in values or ()]
    if len(found) > 1 and "*/*" in found:
        yield invalid(path, found, "if '*/*' is present, must not specify other resources")
    if "*" in found and any("/" not in name and name != "*" for name in found):
        yield invalid(path, found, "if '*' is present, must not specify other resources without subresources")


def some_expression(source: str | None, path: str) -> Errors:
    """An expression that says something."""
    if not (source or "").strip():
        yield required(path, "expression is not specified")
    else:
        yield from expression(source, path)


def expression(source: str | None, path: str) -> Errors:
    """An expression about a request."""
    yield from _compiles(path, source or "", POLICY_VARIABLES)


def _compiles(
    path: str, source: str, variables: tuple[str, ...], shown: object = None, schema: Object | None = None,
    *, root: bool = False,
) -> Errors:  # fmt: skip
    try:
        cel.compiled(source, variables)
        if schema is not None:
            seen = schemas.whole(schema) if root else schema
            for problem in schemas.undefined_fields(source, {"self": seen, "oldSelf": seen}):
                raise problem
    except cel.CelError as error:
        yield invalid(path, source if shown is None else shown, str(error))


def one_answer(actions: list[str] | None, path: str) -> Errors:
    """A client is told once."""
    if {"Deny", "Warn"} <= set(actions or ()):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield invalid(path, actions, why)


def api_service_name(obj: Object) -> Errors:
    """An APIService is named after its version and group."""
    spec = sub(obj, "spec")
    name, wanted = text(sub(obj, "metadata"), "name"), f"{text(spec, 'version')}.{text(spec, 'group')}"
    if name and name != wanted:
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
