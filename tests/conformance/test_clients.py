"""The official Python client and kr8s list, create, watch, patch and delete, as against any cluster."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kr8s
import kubernetes
import pytest
from play import serving


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    with serving("bare") as path:
        yield path


@pytest.fixture(scope="module")
def official(kubeconfig: Path) -> Any:
    return kubernetes.config.new_client_from_config(str(kubeconfig))


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"t": "x"}}, "data": data}


def test_official_crud(official: Any) -> None:
    """Create, read, three patches, replace with a conflict, list by label, delete."""
    core = kubernetes.client.CoreV1Api(official)
    made = core.create_namespaced_config_map("default", config_map("a", k="1"))
    assert (made.metadata.name, made.data) == ("a", {"k": "1"})
    merged = core.patch_namespaced_config_map("a", "default", {"data": {"l": "2"}})
    assert merged.data == {"k": "1", "l": "2"}
    by_json = core.patch_namespaced_config_map("a", "default", [{"op": "remove", "path": "/data/k"}])
    assert by_json.data == {"l": "2"}
    with pytest.raises(kubernetes.client.ApiException) as stale:
        core.replace_namespaced_config_map("a", "default", made)
    assert (stale.value.status, json.loads(stale.value.body)["reason"]) == (409, "Conflict")
    by_json.data = {"m": "3"}
    assert core.replace_namespaced_config_map("a", "default", by_json).data == {"m": "3"}
    assert [cm.metadata.name for cm in core.list_namespaced_config_map("default", label_selector="t=x").items] == ["a"]
    assert core.delete_namespaced_config_map("a", "default")["status"] == "Success"
    with pytest.raises(kubernetes.client.ApiException) as gone:
        core.read_namespaced_config_map("a", "default")
    assert (gone.value.status, gone.value.reason) == (404, "Not Found")


def test_official_watch(official: Any) -> None:
    """A watch from a list's revision tells of what comes after, in order."""
    core = kubernetes.client.CoreV1Api(official)
    revision = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", config_map("w", k="1"))
    core.patch_namespaced_config_map("w", "default", {"data": {"k": "2"}})
    core.delete_namespaced_config_map("w", "default")
    watch = kubernetes.watch.Watch()
    seen = []
    for event in watch.stream(
        core.list_namespaced_config_map, "default", resource_version=revision, timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].metadata.name, event["object"].data))
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == [("ADDED", "w", {"k": "1"}), ("MODIFIED", "w", {"k": "2"}), ("DELETED", "w", {"k": "2"})]


def test_official_pods_run(official: Any) -> None:
    """A Deployment's Pods become Ready; its scale and its log can be read; the client parses every field."""
    apps, core = kubernetes.client.AppsV1Api(official), kubernetes.client.CoreV1Api(official)
    labels = {"app": "web"}
    container = kubernetes.client.V1Container(name="web", image="nginx")
    spec = kubernetes.client.V1DeploymentSpec(
        replicas=2,
        selector=kubernetes.client.V1LabelSelector(match_labels=labels),
        template=kubernetes.client.V1PodTemplateSpec(
            metadata=kubernetes.client.V1ObjectMeta(labels=labels),
            spec=kubernetes.client.V1PodSpec(containers=[container]),
        ),
    )
    deployment = kubernetes.client.V1Deployment(metadata=kubernetes.client.V1ObjectMeta(name="web"), spec=spec)
    apps.create_namespaced_deployment("default", deployment)
    watch = kubernetes.watch.Watch()
    for event in watch.stream(apps.list_namespaced_deployment, "default", timeout_seconds=60):
        if (event["object"].status.ready_replicas or 0) == 2:
            watch.stop()
    assert apps.read_namespaced_deployment_scale("web", "default").status.replicas == 2
    running = set()
    for event in watch.stream(core.list_namespaced_pod, "default", label_selector="app=web", timeout_seconds=60):
        if event["object"].status.phase == "Running":
            running.add(event["object"].metadata.name)
        if len(running) == 2:
            watch.stop()
    pods = core.list_namespaced_pod("default", label_selector="app=web").items
    assert {pod.metadata.name for pod in pods} == running
    assert isinstance(core.read_namespaced_pod_log(pods[0].metadata.name, "default"), str)
    before = apps.list_namespaced_deployment("default").metadata.resource_version
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
    for event in watch.stream(apps.list_namespaced_deployment, "default", resource_version=before, timeout_seconds=60):
        if event["type"] == "DELETED":
            watch.stop()
    assert core.list_namespaced_pod("default", label_selector="app=web").items == []


def test_official_discovery_and_dynamic_client(official: Any) -> None:
    """The dynamic client finds kinds by discovery and uses server-side apply."""
    dynamic = kubernetes.dynamic.DynamicClient(official)
    config_maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    applied = dynamic.server_side_apply(
        config_maps, config_map("ssa", k="1"), namespace="default", field_manager="test"
    )
    assert applied.metadata.managedFields[0].manager == "test"
    assert config_maps.delete("ssa", "default").status == "Success"
    assert kubernetes.client.VersionApi(official).get_code().major == "1"


def test_official_exec(official: Any) -> None:
    """exec over a WebSocket, with the exit code."""
    core = kubernetes.client.CoreV1Api(official)
    container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
    core.create_namespaced_pod("default", {"metadata": {"name": "shell"}, "spec": {"containers": [container]}})
    watch = kubernetes.watch.Watch()
    for event in watch.stream(core.list_namespaced_pod, "default", field_selector="metadata.name=shell"):
        if event["object"].status.phase == "Running":
            watch.stop()
    stream = kubernetes.stream.stream(
        core.connect_get_namespaced_pod_exec,
        "shell",
        "default",
        command=["sh", "-c", "echo out; echo err >&2; exit 3"],
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    stream.run_forever(timeout=20)
    assert (stream.read_stdout(), stream.read_stderr(), stream.returncode) == ("out\n", "err\n", 3)
    core.delete_namespaced_pod("shell", "default", grace_period_seconds=0)


def test_kr8s(kubeconfig: Path) -> None:
    """kr8s creates, gets, lists, watches, patches, labels, scales and deletes."""

    async def session() -> list[str]:
        api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
        steps: list[str] = []
        assert (await api.version())["major"] == "1"
        thing = await kr8s.asyncio.objects.ConfigMap(config_map("k", a="1"), api=api)
        await thing.create()
        steps.append("created")
        await thing.patch({"data": {"b": "2"}})
        assert dict(thing.data) == {"a": "1", "b": "2"}
        await thing.label({"seen": "yes"})
        names = [found.name async for found in api.get("configmaps", label_selector={"seen": "yes"})]
        assert names == ["k"]
        async for event, found in api.watch("configmaps", label_selector={"seen": "yes"}):
            steps.append(f"{event} {found.name}")
            if event == "DELETED":
                break
            await thing.delete()
        assert not await thing.exists()
        return steps

    assert asyncio.run(session()) == ["created", "ADDED k", "DELETED k"]
