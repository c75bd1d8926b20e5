"""Bodies that the real kubectl sends in protobuf are read as the objects that they are."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import schema
from k8s_core.api.decode import PROTOBUF, decode
from k8s_core.api.errors import StatusError

SCHEMA = schema.load()

# What kubectl 1.36 sent for: create deployment d --image=nginx --replicas=0 --port=80
DEPLOYMENT = (
    "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErABChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQSggEIABIKCggKA2FwcBIBZBpqChoKABIA"
    "GgAiACoAMgA4AEIAWggKA2FwcBIBZBJMEi4KBW5naW54EgVuZ2lueCoAMgoKABAAGFAiACoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgA"
    "YABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA"
)
SERVICE = (
    "azhzAAoNCgJ2MRIHU2VydmljZRJmChsKAW4SABoAIgAqADIAOABCAFoICgNhcHASAW4SQwoeCgc4MC1odHRwEgNUQ1AYUCIKCAEQABoEaHR0cCgA"
    "EggKA2FwcBIBbhoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA=="
)
TOKEN = (
    "azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIgChAKABIAGgAiACoAMgA4AEIAEgYKAWEg2AQaBAoAEgAaACIA"
)
SECRET = "azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAXASAXEaABoAIgA="
QUOTA = (
    "azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRIzChEKAXESABoAIgAqADIAOABCABIcCgoKA2NwdRIDCgExCg4KBm1lbW9yeRIECgIxRxoAGgAiAA=="
)


def read(text: str, group: str, version: str, kind: str) -> dict[str, object]:
    """Decode a body in base64."""
    found, warnings = decode(base64.b64decode(text), PROTOBUF, SCHEMA.kind(group, version, kind))
    assert warnings == []
    return found


def test_a_deployment() -> None:
    """Maps, lists, nested messages; a zero that is meant stays, one that Go always writes does not."""
    found = read(DEPLOYMENT, "apps", "v1", "Deployment")
    container = {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {}}
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"app": "d"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}},
            "strategy": {},
        },
        "status": {},
    }


def test_an_int_or_string() -> None:
    """A port by name."""
    ports = read(SERVICE, "", "v1", "Service")["spec"]["ports"]  # type: ignore[index]
    assert ports == [{"name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http"}]


def test_a_subresource_of_another_group() -> None:
    """create token sends a TokenRequest."""
    found = read(TOKEN, "authentication.k8s.io", "v1", "TokenRequest")
    assert found["spec"] == {"audiences": ["a"], "expirationSeconds": 600}


def test_bytes_and_quantities() -> None:
    """A Secret's bytes become base64, quantities canonical text."""
    assert read(SECRET, "", "v1", "Secret")["data"] == {"p": "cQ=="}
    assert read(QUOTA, "", "v1", "ResourceQuota")["spec"] == {"hard": {"cpu": "1", "memory": "1G"}}


def tag(number: int, data: bytes) -> bytes:
    """One field of a message that is a string, bytes or a message."""
    return bytes([number << 3 | 2, len(data)]) + data


def body(api_version: str, kind: str, *fields: bytes) -> bytes:
    """A whole body."""
    meta = tag(1, api_version.encode()) + tag(2, kind.encode())
    return b"k8s\0" + tag(1, meta) + tag(2, b"".join(fields))


def test_times_and_raw_values() -> None:
    """A Time is seconds, a MicroTime has nanoseconds; raw extensions are JSON; embedded structs are flat."""
    stamp = b"\x08" + b"\xb8\xa3\xd6\xca\x06" + b"\x10\x90\xce\x00"  # 1767215544 s, 10000 ns
    lease = body("coordination.k8s.io/v1", "Lease", tag(1, tag(1, b"a")), tag(2, tag(4, stamp)))
    found, _ = decode(lease, PROTOBUF, SCHEMA.kind("coordination.k8s.io", "v1", "Lease"))
    assert found["spec"] == {"renewTime": "2025-12-31T21:12:24.000010Z"}
    revision = body("apps/v1", "ControllerRevision", tag(2, tag(1, b'{"a":[1]}')), b"\x18\x05")
    found, _ = decode(revision, PROTOBUF, SCHEMA.kind("apps", "v1", "ControllerRevision"))
    assert found["data"] == {"a": [1]} and found["revision"] == 5
    claim = tag(1, b"v") + tag(2, tag(10, tag(1, b"c") + b"\x10\x01"))
    pod = body("v1", "Pod", tag(2, tag(1, claim)))
    found, _ = decode(pod, PROTOBUF, SCHEMA.kind("", "v1", "Pod"))
    assert found["spec"]["volumes"] == [{"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}]


def test_another_kind_than_the_resource() -> None:
    """The kind in the body counts, and is refused if it is not the resource's."""
    with pytest.raises(StatusError, match=r"converting \(v1\.Secret\) to \(core\.Pod\): unknown conversion"):
        read(SECRET, "", "v1", "Pod")


@given(st.binary(max_size=60), st.sampled_from(["Pod", "Service", "Secret", "Event", "Node"]))
def test_any_bytes_end_in_an_object_or_a_status(data: bytes, kind: str) -> None:
    """Garbage behind a good beginning is a bad request, never anything worse."""
    whole = b"k8s\0" + tag(1, tag(1, b"v1") + tag(2, kind.encode())) + tag(2, data)
    for garbage in (data, b"k8s\0" + data, whole):
        try:
            decode(garbage, PROTOBUF, SCHEMA.kind("", "v1", kind))
        except StatusError as error:
            assert error.code == 400
