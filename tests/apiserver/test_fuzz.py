"""Objects, patches, selectors and whole requests that nobody would think of: the promises of `Judge.send` hold."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import Judge, operations, play

HERE = "/api/v1/namespaces/default"
FEW = settings(max_examples=60, database=None, deadline=None, derandomize=True,
               suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])  # fmt: skip

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["a", "app", "1", "-1", "1Gi", "100m", "true", "x/y", "$patch", "replace", "metadata.name", "0", "%s", "\n"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3)
CONTAINER = st.fixed_dictionaries(
    {"name": TEXT | st.just("c")},
    optional={
        "image": TEXT, "env": st.lists(st.fixed_dictionaries({"name": TEXT}, optional={"value": TEXT}), max_size=3),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(-1, 70000)}), max_size=3),
        "resources": st.dictionaries(st.sampled_from(["limits", "requests"]), LABELS, max_size=2), "args": JSON,
    },
)  # fmt: skip
POD = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINER, max_size=3)},
    optional={"volumes": JSON, "nodeSelector": LABELS, "tolerations": JSON, "affinity": JSON, "hostNetwork": JSON,
              "terminationGracePeriodSeconds": JSON, "securityContext": JSON},
)  # fmt: skip
PATHS = {"pods": POD, "services": JSON, "configmaps": JSON, "secrets": JSON, "resourcequotas": JSON}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    body = orjson.dumps({"metadata": {"name": "one"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
    assert judge.send("POST", f"{HERE}/serviceaccounts", body=b'{"metadata":{"name":"default"}}').code in (201, 409)
    assert judge.send("POST", f"{HERE}/pods", body=body).code == 201
    yield judge
    judge.stop()


@FEW
@given(resource=st.sampled_from(sorted(PATHS)), data=st.data(), labels=LABELS, name=TEXT)
def test_objects(judge: Judge, resource: str, data: st.DataObject, labels: dict[str, str], name: str) -> None:
    """Whatever is in a body, it is stored or refused with a Status."""
    spec = data.draw(PATHS[resource])
    obj: dict[str, Any] = {"metadata": {"name": name, "labels": labels}, "spec": spec, "data": spec}
    judge.send("POST", f"{HERE}/{resource}", body=orjson.dumps(obj))


@FEW
@given(
    kind=st.sampled_from(["merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml"]),
    body=JSON
    | st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "test"]),
                "path": TEXT.map(lambda text: f"/spec/{text}"),
                "value": JSON,
            }
        )
    ),
)
def test_patches(judge: Judge, kind: str, body: Any) -> None:
    """A patch of any form is applied or refused; the object that it was meant for is still there."""
    media = f"application/{kind}"
    judge.send("PATCH", f"{HERE}/pods/one", "fieldManager=fuzz", orjson.dumps(body), **{"content-type": media})
    assert judge.send("GET", f"{HERE}/pods/one").code == 200


@FEW
@given(labels=st.text(max_size=20) | st.lists(TEXT).map(",".join), fields=TEXT, limit=st.integers() | TEXT)
def test_selectors(judge: Judge, labels: str, fields: str, limit: Any) -> None:
    """A selector that cannot be read is 400."""
    query = f"labelSelector={quote(labels)}&fieldSelector={quote(fields)}&limit={quote(str(limit))}"
    assert judge.send("GET", f"{HERE}/pods", query).code in (200, 400)


@FEW
@given(data=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), TEXT, max_size=3), labels=LABELS)
def test_applying_twice_changes_nothing(judge: Judge, data: dict[str, str], labels: dict[str, str]) -> None:
    """The second apply of the same configuration writes nothing."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "twice", "labels": labels}, "data": data}
    answers = [
        judge.send("PATCH", f"{HERE}/configmaps/twice", "fieldManager=fuzz&force=true", orjson.dumps(obj),
                   **{"content-type": "application/apply-patch+yaml"})
        for _ in range(2)
    ]  # fmt: skip
    assert answers[0].code in (200, 201, 400, 422)
    if answers[0].code < 300:
        first, second = ((answer.object or {})["metadata"]["resourceVersion"] for answer in answers)
        assert first == second


@pytest.mark.parametrize(
    ("group", "version", "only"),
    [
        ("", "v1", r"/(configmaps|services|events)(/\{name\})?$"),
        ("apps", "v1", r"/deployments(/\{name\}(/scale)?)?$"),
        ("rbac.authorization.k8s.io", "v1", r"/roles"),
    ],
)
def test_requests_made_up_from_openapi(judge: Judge, group: str, version: str, only: str) -> None:
    """A few requests of every operation; `make bench` sends ten thousand over everything."""
    for operation in operations(judge, group, version, only):
        play(judge, operation, 2)
