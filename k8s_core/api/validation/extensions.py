"""What extends the API: CustomResourceDefinitions, admission webhooks and policies, APIServices.

Stands for `apiextensions/validation`, `admissionregistration/validation` and `apiregistration/validation`. Leaves
out: the finer rules of structural schemas, costs of CEL expressions.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from k8s_core.api import Object, cel, names
from k8s_core.api.cel import schemas
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import (
    Errors,
    bad,
    dns_subdomain,
    each,
    immutable,
    listed,
    number,
    one_of,
    strings,
    sub,
    text,
)

COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS: Final = (
    "", "binary", "bool", "byte", "date", "date-time", "double", "float", "int32", "int64", "password",
)  # fmt: skip
REVIEW_VERSIONS: Final = ("v1", "v1beta1")
OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
RULE_SCOPES: Final = ("*", "Cluster", "Namespaced")
RULE_VARIABLES: Final = ("self", "oldSelf")
POLICY_VARIABLES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables", "authorizer")
URL_FORM: Final = "; desired format: https://host[/path]"


def definition(obj: Object) -> Errors:
    """A CustomResourceDefinition."""
    spec = sub(obj, "spec")
    name, wanted = text(sub(obj, "metadata"), "name"), f"{text(sub(spec, 'names'), 'plural')}.{text(spec, 'group')}"
    if name and name != wanted:
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _definition_spec(spec)


def definition_update(new: Object, old: Object) -> Errors:
    """A changed CustomResourceDefinition: what its objects are called in storage stays."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if after is before:
        return
    yield from _definition_spec(after)
    established = any(
        (c or {}).get("type") == "Established" and (c or {}).get("status") == "True"
        for c in listed(sub(old, "status"), "conditions")
    )
    new_names, old_names = sub(after, "names"), sub(before, "names")
    if established:
        yield from immutable("spec.scope", after.get("scope"), before.get("scope"))
        yield from immutable("spec.names.kind", new_names.get("kind"), old_names.get("kind"))
    yield from immutable("spec.group", after.get("group"), before.get("group"))
    yield from immutable("spec.names.plural", new_names.get("plural"), old_names.get("plural"))


def _definition_spec(spec: Object) -> Errors:
    group = text(spec, "group")
    if not group:
        yield required("spec.group")
    elif messages := names.dns1123_subdomain(group):
        yield invalid("spec.group", group, ",".join(messages))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    yield from one_of(spec, "scope", "spec", ("Cluster", "Namespaced"))
    versions = listed(spec, "versions")
    for place, version in each(spec, "versions", "spec"):
        if sub(version, "schema").get("openAPIV3Schema") is None:
            yield required(f"{place}.schema.openAPIV3Schema")
    schemas = [sub(version, "schema") for _, version in each(spec, "versions", "spec")]
    hoisted = "spec.validation" if all(each == schemas[0] for each in schemas) else ""
    for index, (place, version) in enumerate(each(spec, "versions", "spec")):
        yield from _definition_version(version, place, "" if index and hoisted else hoisted or f"{place}.schema")
    found = [text(v or {}, "name") for v in versions]
    if len(set(found)) < len(found):
        yield invalid("spec.versions", versions, "must contain unique version names")
    if sum(bool((v or {}).get("storage")) for v in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", versions or None, why)
    given = sub(spec, "names")
    for field in ("plural", "singular", "kind", "listKind"):
        if not given.get(field):
            yield required(f"spec.names.{field}")
    yield from _definition_names(given, "spec.names")
    conversion = spec.get("conversion")
    if conversion is not None:
        yield from one_of(conversion, "strategy", "spec.conversion", ("None", "Webhook"))
        if conversion.get("strategy") == "Webhook" and sub(conversion, "webhook").get("clientConfig") is None:
            why = "required when strategy is set to Webhook"
            yield required("spec.conversion.webhookClientConfig", why)


def _definition_version(version: Object, path: str, schema_path: str) -> Errors:
    name = text(version, "name")
    if messages := names.dns1035_label(name):
        yield invalid(f"{path}.name", name, ",".join(messages))
    warning = version.get("deprecationWarning")
    if warning is not None and not version.get("deprecated"):
        yield invalid(f"{path}.deprecationWarning", warning, "can only be set for deprecated versions")
    schema = sub(version, "schema").get("openAPIV3Schema")
    if schema is not None and schema_path:
        place = f"{schema_path}.openAPIV3Schema"
        if schema.get("nullable"):
            yield forbidden(f"{place}.nullable", "nullable cannot be true at the root")
        if not schema.get("type"):
            yield required(f"{place}.type", "must not be empty at the root")
        elif schema["type"] != "object":
            yield invalid(f"{place}.type", schema["type"], "must be object at the root")
        yield from _structural(schema, place)
    scale = sub(version, "subresources").get("scale")
    if scale is not None:
        for field in ("specReplicasPath", "statusReplicasPath"):
            value, root = text(scale, field), f".{field.removesuffix('ReplicasPath')}."
            place = f"{path}.subresources.scale.{field}"
            if not value:
                yield required(place)
            elif not value.startswith(root):
                yield invalid(place, value, f"should be a json path under {root[:-1]}")
    for place, column in each(version, "additionalPrinterColumns", path):
        kind = text(column, "type")
        if not column.get("name"):
            yield required(f"{place}.name")
        if not kind:
            yield required(f"{place}.type", "must be one of " + ",".join(COLUMN_TYPES))
        elif kind not in COLUMN_TYPES:
            yield invalid(f"{place}.type", kind, "must be one of " + ",".join(COLUMN_TYPES))
        if text(column, "format") not in COLUMN_FORMATS:
            why = "must be one of " + ",".join(COLUMN_FORMATS[1:])
            yield invalid(f"{place}.format", column["format"], why)
        if not column.get("jsonPath"):
            yield required(f"{place}.JSONPath")


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


def _definition_names(given: Object, path: str) -> Errors:
    for field in ("plural", "singular", "kind", "listKind"):
        value = text(given, field)
        if value and (messages := names.dns1035_label(value.lower() if "ind" in field else value)):
            mixed = "may have mixed case, but should otherwise match: " if "ind" in field else ""
            yield invalid(f"{path}.{field}", value, mixed + ",".join(messages))
    for index, name in enumerate(strings(given, "shortNames")):
        if messages := names.dns1035_label(name):
            yield invalid(f"{path}.shortNames[{index}]", name, ",".join(messages))
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        yield invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same")
    for index, name in enumerate(strings(given, "categories")):
        if messages := names.dns1035_label(name):
            yield invalid(f"{path}.categories[{index}]", name, ",".join(messages))


def webhooks(obj: Object) -> Errors:
    """A validating or mutating webhook configuration."""
    seen: set[str] = set()
    for place, hook in each(obj, "webhooks", ""):
        path, name = place.removeprefix("."), text(hook, "name")
        if not name:
            yield required(f"{path}.name")
        elif messages := names.dns1123_subdomain(name):
            yield invalid(f"{path}.name", name, ",".join(messages))
        elif name.count(".") < 2:
            why = "should be a domain with at least three segments separated by dots"
            yield invalid(f"{path}.name", name, why)
        for where, rule in each(hook, "rules", path):
            yield from _operations(rule, where)
        yield from one_of(hook, "failurePolicy", path, ("Fail", "Ignore"), optional=True)
        yield from one_of(hook, "matchPolicy", path, ("Equivalent", "Exact"), optional=True)
        effects = ("None", "NoneOnDryRun")
        if hook.get("sideEffects") is None:
            yield required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
        yield from one_of(hook, "sideEffects", path, effects, optional=True)
        seconds = hook.get("timeoutSeconds")
        if seconds is not None and not 1 <= seconds <= 30:
            why = "the timeout value must be between 1 and 30 seconds"
            yield invalid(f"{path}.timeoutSeconds", seconds, why)
        for field in ("namespaceSelector", "objectSelector"):
            yield from meta.label_selector(hook.get(field), f"{path}.{field}")
        yield from one_of(hook, "reinvocationPolicy", path, ("IfNeeded", "Never"), optional=True)
        yield from _client(sub(hook, "clientConfig"), f"{path}.clientConfig")
        yield from _review_versions(strings(hook, "admissionReviewVersions"), f"{path}.admissionReviewVersions")
        if name and name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)


def _client(config: Object, path: str) -> Errors:
    url, service = config.get("url"), sub(config, "service")
    if (url is None) == (config.get("service") is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url(url, f"{path}.url")
    else:
        for field in ("name", "namespace"):
            if not service.get(field):
                yield required(f"{path}.service.{field}")
        port = number(service, "port")
        if messages := names.port_number(port):
            yield invalid(f"{path}.service.port", port, "port is not valid: " + ", ".join(messages))
        value = text(service, "path")
        if value and not value.startswith("/"):
            yield invalid(f"{path}.service.path", value, "must start with a '/'")


def _url(url: str, path: str) -> Errors:
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


def _review_versions(versions: list[str], path: str) -> Errors:
    accepted = ", ".join(REVIEW_VERSIONS)
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


def _operations(rule: Object, path: str) -> Errors:
    operations = strings(rule, "operations")
    if not operations:
        yield required(f"{path}.operations")
    if len(operations) > 1 and "*" in operations:
        why = "if '*' is present, must not specify other operations"
        yield invalid(f"{path}.operations", operations, why)
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            yield not_supported(f"{path}.operations[{index}]", operation, OPERATIONS)
    yield from _wildcards(rule, "apiGroups", path, "API groups")
    yield from _wildcards(rule, "apiVersions", path, "API versions")
    found = strings(rule, "resources")
    if not found:
        yield required(f"{path}.resources")
    for index, name in enumerate(found):
        if not name:
            yield required(f"{path}.resources[{index}]")
    if len(found) > 1 and "*/*" in found:
        yield invalid(f"{path}.resources", found, "if '*/*' is present, must not specify other resources")
    if "*" in found and any("/" not in name and name != "*" for name in found):
        why = "if '*' is present, must not specify other resources without subresources"
        yield invalid(f"{path}.resources", found, why)
    yield from one_of(rule, "scope", path, RULE_SCOPES, optional=True)


def _wildcards(rule: Object, field: str, path: str, words: str) -> Errors:
    values: Sequence[str] = strings(rule, field)
    if not values:
        yield required(f"{path}.{field}")
    if len(values) > 1 and "*" in values:
        yield invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {words}")


def admission_policy(obj: Object) -> Errors:
    """A ValidatingAdmissionPolicy."""
    spec = sub(obj, "spec")
    yield from one_of(spec, "failurePolicy", "spec", ("Fail", "Ignore"))
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield required("spec.matchConstraints")
    else:
        yield from _match(constraints, "spec.matchConstraints", need_rules=True)
    validations, annotations = listed(spec, "validations"), listed(spec, "auditAnnotations")
    if not validations and not annotations:
        yield required("spec.validations", "validations or auditAnnotations must contain at least one item")
        yield required("spec.auditAnnotations", "validations or auditAnnotations must contain at least one item")
    for place, rule in each(spec, "validations", "spec"):
        if not text(rule, "expression").strip():
            yield required(f"{place}.expression", "expression is not specified")
        else:
            yield from _compiles(f"{place}.expression", rule["expression"], POLICY_VARIABLES)
    for place, variable in each(spec, "variables", "spec"):
        yield from _compiles(f"{place}.expression", text(variable, "expression"), POLICY_VARIABLES)


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


def policy_binding(obj: Object) -> Errors:
    """A ValidatingAdmissionPolicyBinding."""
    spec = sub(obj, "spec")
    if not spec.get("policyName"):
        yield required("spec.policyName")
    else:
        yield from dns_subdomain("spec.policyName", spec["policyName"])
    if spec.get("matchResources") is not None:
        yield from _match(spec["matchResources"], "spec.matchResouces", need_rules=False)
    actions = strings(spec, "validationActions")
    if not actions:
        yield required("spec.validationActions")
    for index, action in enumerate(actions):
        if action not in ("Audit", "Deny", "Warn"):
            yield not_supported(f"spec.validationActions[{index}]", action, ("Audit", "Deny", "Warn"))
        if action in actions[:index]:
            yield duplicate(f"spec.validationActions[{index}]", action)
    if "Deny" in actions and "Warn" in actions:
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield invalid("spec.validationActions", actions, why)


def _match(node: Object, path: str, *, need_rules: bool) -> Errors:
    yield from one_of(node, "matchPolicy", path, ("Equivalent", "Exact"))
    for field in ("namespaceSelector", "objectSelector"):
        if node.get(field) is None:
            yield required(f"{path}.{field}")
        yield from meta.label_selector(node.get(field), f"{path}.{field}")
    for place, rule in each(node, "resourceRules", path):
        yield from _operations(rule, place)
    if need_rules and not listed(node, "resourceRules"):
        yield required(f"{path}.resourceRules")


def api_service(obj: Object) -> Errors:
    """An APIService."""
    spec = sub(obj, "spec")
    group, version = text(spec, "group"), text(spec, "version")
    name, wanted = text(sub(obj, "metadata"), "name"), f"{version}.{group}"
    if name and name != wanted:
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if not group and version != "v1":
        why = "only v1 may have an empty group and it better be legacy kube"
        yield required("spec.group", why)
    if group:
        yield from dns_subdomain("spec.group", group)
    yield from bad("spec.version", version, names.dns1035_label(version))
    for field, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < number(spec, field) <= limit:
            why = f"must be positive and less than {limit}"
            yield invalid(f"spec.{field}", number(spec, field), why)
    service = spec.get("service")
    if service is not None:
        for field in ("namespace", "name"):
            if not service.get(field):
                yield required(f"spec.service.{field}")
        if messages := names.port_number(number(service, "port")):
            why = "port is not valid: " + ", ".join(messages)
            yield invalid("spec.service.port", number(service, "port"), why)
        if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
            yield invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")
