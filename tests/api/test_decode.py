"""Bodies become objects of a kind, or are refused in the words of kube-apiserver."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import schema
from k8s_core.api.decode import JSON, MEDIA_TYPES, YAML, decode, decode_apply, normalise
from k8s_core.api.errors import StatusError

SCHEMA = schema.load()
POD = SCHEMA.kind("", "v1", "Pod")
DEPLOYMENT = SCHEMA.kind("apps", "v1", "Deployment")
CANNOT = 'Pod in version "v1" cannot be handled as a Pod: '
UNKNOWN = "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
REGEX = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def pod(spec: dict[str, Any] | None = None, **container: Any) -> bytes:
    """A Pod's JSON with changes."""
    one = {"name": "web", "image": "nginx", **container}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [one], **(spec or {})},
    }
    return orjson.dumps(body)


def refusal(body: bytes, level: str = "Strict", media: str = JSON, kind: schema.Type = POD) -> str:
    """The message of a 400."""
    with pytest.raises(StatusError) as caught:
        decode(body, media, kind, field_validation=level)
    assert caught.value.code == 400
    return caught.value.message


def test_a_good_body() -> None:
    """Nulls go, quantities and times become canonical, kind and version are filled in."""
    body = {
        "metadata": {"name": "a", "labels": None, "creationTimestamp": "2026-01-01T01:00:00+01:00"},
        "spec": {"containers": [{"name": "x", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]},
    }
    found, warnings = decode(orjson.dumps(body), JSON, POD, field_validation="Strict")
    assert warnings == []
    assert found == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "x", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]},
    }


def test_unknown_fields() -> None:
    """An error, a warning, or nothing, in the order of the document; they are never kept."""
    body = pod({"foo": 1}, imagee="x")
    both = 'unknown field "spec.containers[0].imagee"', 'unknown field "spec.foo"'
    assert refusal(body) == CANNOT + "strict decoding error: " + ", ".join(both)
    found, warnings = decode(body, JSON, POD, field_validation="Warn")
    assert tuple(warnings) == both and "foo" not in found["spec"]
    assert decode(body, JSON, POD, field_validation="Ignore")[1] == []
    assert 'unknown field "spec.Containers"' in refusal(b'{"spec":{"Containers":[]}}')


def test_duplicate_fields() -> None:
    """Known fields and map keys that come twice; the last one counts."""
    body = b'{"kind":"Pod","metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}}}'
    twice = ['duplicate field "metadata.name"', 'duplicate field "metadata.labels.x"']
    assert refusal(body) == CANNOT + "strict decoding error: " + ", ".join(twice)
    found, warnings = decode(body, JSON, POD, field_validation="Warn")
    assert warnings == twice and found["metadata"] == {"name": "b", "labels": {"x": "2"}}


@pytest.mark.parametrize(
    ("body", "value", "field", "go"),
    [
        (pod({"activeDeadlineSeconds": "x"}), "string", "PodSpec.spec.activeDeadlineSeconds", "int64"),
        (pod({"terminationGracePeriodSeconds": 1.5}), "number 1.5",
         "PodSpec.spec.terminationGracePeriodSeconds", "int64"),
        (pod({"containers": {}}), "object", "PodSpec.spec.containers", "[]v1.Container"),
        (pod({"restartPolicy": 5}), "number", "PodSpec.spec.restartPolicy", "v1.RestartPolicy"),
        (pod({"hostNetwork": "yes"}), "string", "PodSpec.spec.hostNetwork", "bool"),
        (pod({"nodeSelector": ["a"]}), "array", "PodSpec.spec.nodeSelector", "map[string]string"),
        (pod(env=[{"name": "A", "value": 1}]), "number", "EnvVar.spec.containers.env.value", "string"),
        (pod(command=[1]), "number", "Container.spec.containers.command", "string"),
        (pod(ports=[{"containerPort": 99999999999}]), "number 99999999999",
         "ContainerPort.spec.containers.ports.containerPort", "int32"),
        (pod(livenessProbe={"httpGet": {"port": True}}), "bool",
         "HTTPGetAction.spec.containers.livenessProbe.httpGet.port", "int32"),
        (pod(resources=[]), "array", "Container.spec.containers.resources", "v1.ResourceRequirements"),
        (b'{"metadata":{"labels":{"a":1}}}', "number", "ObjectMeta.metadata.labels", "string"),
        (b'{"metadata":{"creationTimestamp":5}}', "number", "ObjectMeta.metadata.creationTimestamp", "string"),
        (b'{"metadata":[],"spec":[]}', "array", "Pod.metadata", "v1.ObjectMeta"),
        (b'{"spec":{"priority":1e3}}', "number 1e3", "PodSpec.spec.priority", "int32"),
    ],
)  # fmt: skip
def test_wrong_types(body: bytes, value: str, field: str, go: str) -> None:
    """The first misfit is told with its Go struct, its path and its Go type."""
    assert refusal(body) == f"{CANNOT}json: cannot unmarshal {value} into Go struct field {field} of type {go}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (pod(resources={"limits": {"cpu": "abc"}}), REGEX),
        (pod(resources={"limits": {"cpu": "1x"}}), REGEX),
        (pod(resources={"limits": {"cpu": "1K"}}), "unable to parse quantity's suffix"),
        (pod(resources={"limits": {"cpu": True}}), REGEX),
        (
            b'{"metadata":{"creationTimestamp":"abc"}}',
            'parsing time "abc" as "2006-01-02T15:04:05Z07:00": cannot parse "abc" as "2006"',
        ),
    ],
)
def test_values_that_read_themselves(body: bytes, why: str) -> None:
    """Quantities and times complain in their own words."""
    assert refusal(body) == CANNOT + why


def test_base64() -> None:
    """Bytes must be base64; line breaks in it go."""
    secret = SCHEMA.kind("", "v1", "Secret")
    message = refusal(b'{"data":{"a":"%%%"}}', kind=secret)
    assert message == 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
    assert decode(b'{"data":{"a":"eA=\\n=","b":null}}', JSON, secret)[0]["data"] == {"a": "eA==", "b": ""}


def test_another_kind() -> None:
    """Another kind, an unknown kind, and another version of the same kind each have their words."""
    assert refusal(b'{"kind":"Service","apiVersion":"v1"}') == (
        'Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion'
    )
    assert refusal(b'{"kind":"Foo","apiVersion":"v1"}') == (
        'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme '
        '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
    )
    hpa = SCHEMA.kind("autoscaling", "v2", "HorizontalPodAutoscaler")
    assert refusal(b'{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1"}', kind=hpa) == (
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b'{"a":', 'unexpected end of JSON input ({"a":)'),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string ({'a':1})"),
        (b"[]", 'json: cannot unmarshal array into Go value of type struct { APIVersion string '
                '"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)'),
        (b'{"kind":5}', 'json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'),
        (b"x" * 31, "invalid character 'x' looking for beginning of value (" + "78" * 30 + " ...)"),
        (b"[" * 20000, "exceeded max depth (" + "5b" * 30 + " ...)"),
    ],
)  # fmt: skip
def test_bodies_that_tell_no_kind(body: bytes, why: str) -> None:
    """What is no JSON object is shown, shortened."""
    assert refusal(body) == UNKNOWN + why


def test_deep_nesting() -> None:
    """What recurses is read as deep as documents may nest, and refused beyond."""
    crd = SCHEMA.kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    head, tail = b'{"spec":{"versions":[{"schema":{"openAPIV3Schema":', b"}}]}}"
    body = head + b'{"not":' * 190 + b"{}" + b"}" * 190 + tail
    assert decode(body, JSON, crd)[0]["kind"] == "CustomResourceDefinition"
    assert "exceeded max depth" in refusal(head + b'{"not":' * 500 + b"{}" + b"}" * 500 + tail, kind=crd)


def test_limits_and_media_types() -> None:
    """Too much is 413, an unknown form 415; parameters of a media type do not matter."""
    with pytest.raises(StatusError, match="Request entity too large: limit is 3145728") as caught:
        decode(b" " * (3 * 2**20 + 1), JSON, POD)
    assert caught.value.code == 413
    with pytest.raises(StatusError, match="accepted media types include: " + ", ".join(MEDIA_TYPES)) as caught:
        decode(b"{}", "text/plain", POD)
    assert caught.value.code == 415
    assert decode(b"{}", "application/json; charset=utf-8", POD)[0]["kind"] == "Pod"


def test_yaml_bodies() -> None:
    """YAML is read as Go reads it, and its duplicates are reported one by one."""
    text = b"kind: Pod\nmetadata: {name: a}\nspec:\n  priority: 1\n  priority: 0x10\n  hostNetwork: yes\n  b: 1\n"
    found, warnings = decode(text, YAML, POD, field_validation="Warn")
    assert found["spec"] == {"priority": 16, "hostNetwork": True}
    assert warnings == ['line 5: key "priority" already set in map', 'unknown field "spec.b"']
    assert refusal(text, media=YAML) == CANNOT + (
        'strict decoding error: yaml: unmarshal errors:\n  line 5: key "priority" already set in map, '
        'unknown field "spec.b"'
    )
    assert refusal(b"a: b: c", media=YAML) == (
        "the object provided is unrecognized (must be of type Pod): "
        "yaml: line 1: mapping values are not allowed in this context (613a20623a2063)"
    )


def test_patches() -> None:
    """What a patch spoilt is a 422 whose words depend on the kind of patch."""
    spoilt = {"spec": {"replicas": "3"}}
    shown = (
        r'^ "" is invalid: patch: Invalid value: "\{\\"spec\\":\{\\"replicas\\":\\"3\\"\}\}": json: cannot unmarshal'
    )
    with pytest.raises(StatusError, match=shown) as caught:
        normalise(spoilt, DEPLOYMENT)
    assert caught.value.code == 422
    with pytest.raises(StatusError, match=r'"map\[spec:map\[replicas:3\]\]": unrecognized type: int32$'):
        normalise(spoilt, DEPLOYMENT, patch=spoilt)
    meta = {"apiVersion": "apps/v1", "kind": "Deployment"}
    unknown = {**meta, "spec": {"zz": 1}}
    assert normalise(unknown, DEPLOYMENT) == ({**meta, "spec": {}}, ['unknown field "spec.zz"'])
    assert normalise({}, DEPLOYMENT)[0] == meta
    with pytest.raises(StatusError, match=r"converting \(v1\.Service\) to \(apps\.Deployment\): unknown conversion$"):
        normalise({"apiVersion": "v1", "kind": "Service"}, DEPLOYMENT)
    with pytest.raises(StatusError, match=r'strict decoding error: unknown field "spec\.zz"'):
        normalise(unknown, DEPLOYMENT, field_validation="Strict")


def test_server_side_apply() -> None:
    """The body is YAML and kept as it is; only its duplicates are looked at."""
    text = b"kind: Pod\nspec: {foo: 1}\nkind: Pod\n"
    twice = 'line 3: key "kind" already set in map'
    assert decode_apply(text) == ({"kind": "Pod", "spec": {"foo": 1}}, [twice])
    assert decode_apply(text, field_validation="Ignore")[1] == []
    with pytest.raises(StatusError) as caught:
        decode_apply(text, field_validation="Strict")
    why = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
    assert (caught.value.code, caught.value.message) == (400, why + twice)
    for bad in (b"a: b: c", b"- a", b"[" * 300):
        with pytest.raises(StatusError, match=r"^error decoding YAML: error ") as caught:
            decode_apply(bad)
        assert caught.value.code == 400


NAMES = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "containers", "name", "labels", "resources", "limits", "cpu", "ports"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["v1", "Pod", "1Gi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from(["Strict", "Warn", "Ignore"]), st.sampled_from([JSON, YAML]))
def test_any_value_ends_in_an_object_or_a_status(value: Any, level: str, media: str) -> None:
    """Whatever JSON or YAML comes, out comes a good object that decodes to itself, or a 4xx."""
    body = json.dumps(value).encode()
    try:
        found, _ = decode(body, media, POD, field_validation=level)
    except StatusError as error:
        assert 400 <= error.code < 500
        return
    assert decode(orjson.dumps(found), JSON, POD, field_validation="Strict") == (found, [])


@given(st.binary(max_size=80), st.sampled_from([*MEDIA_TYPES, "", "a/b"]))
def test_any_bytes_end_in_an_object_or_a_status(body: bytes, media: str) -> None:
    """Whatever bytes come, nothing but a StatusError comes out."""
    try:
        orjson.dumps(decode(body, media, POD, field_validation="Strict")[0])
    except StatusError as error:
        assert 400 <= error.code < 500
