"""Which controllers run, as whom, and that they can be stopped and started at any time."""

import pytest
from controller_world import World

from k8s_core.controllers import CONTROLLERS
from k8s_core.controllers.expectations import Expectations
from k8s_core.controllers.manager import is_enabled, resolve


def test_the_first_entry_that_names_a_controller_decides() -> None:
    """`--controllers=*,-name` as kube-controller-manager reads it."""
    assert is_enabled("a", ["*"])
    assert not is_enabled("a", ["*", "-a"])
    assert is_enabled("b", ["*", "-a"])
    assert is_enabled("a", ["a", "-a"])
    assert not is_enabled("b", ["a"])
    assert not is_enabled("a", ["*"], frozenset({"a"}))


def test_older_names_are_known_and_wrong_ones_refused() -> None:
    """The names of before 1.28 still work."""
    assert resolve(["*", "-deployment"]) == ["*", "-deployment-controller"]
    with pytest.raises(ValueError, match='"nothere" is not in the list of known controllers'):
        resolve(["nothere"])


def test_every_controller_has_an_account_with_rights() -> None:
    """The account of each is bound to a role by the bootstrap policy."""
    world = World((), kubelet=False)
    bound = {
        subject["name"]
        for binding in world.all("ClusterRoleBinding")
        for subject in binding.get("subjects") or ()
        if subject["kind"] == "ServiceAccount"
    }
    world.stop()
    assert {kind.account for kind in CONTROLLERS.values()} <= bound


def deployment(replicas: int) -> dict[str, object]:
    labels = {"app": "web"}
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def test_a_stopped_manager_does_nothing_and_a_started_one_catches_up() -> None:
    """What controllers know they learn from the API: nothing is lost, nothing is made twice."""
    world = World()
    world.create(deployment(2))
    world.cluster.settle()
    manager = world.cluster.controller_manager
    manager.stop()
    world.client.patch("deployments.apps", "web", "default", {"spec": {"replicas": 3}})
    world.client.delete("pods", world.all("Pod")[0]["metadata"]["name"], "default")
    world.cluster.settle()
    assert len(world.all("Pod")) == 1
    manager.start()
    world.cluster.settle()
    assert len(world.all("Pod")) == 3
    manager.stop()
    world.stop()


def test_a_thousand_pods_take_a_hundred_syncs_not_a_thousand() -> None:
    """What one sync has to look at many of is looked at with all that happened to them meanwhile."""
    world = World(("deployment-controller", "replicaset-controller", "endpointslice-controller"))
    syncs = dict.fromkeys(world.cluster.controller_manager.controllers, 0)
    for name, controller in world.cluster.controller_manager.controllers.items():
        sync = controller.queue.sync

        def counted(key: str, name: str = name, sync: object = sync) -> None:
            syncs[name] += 1
            sync(key)  # type: ignore[operator]

        controller.queue.sync = counted
    service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    world.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service})
    world.create(deployment(100))
    world.cluster.settle()
    assert all(count < 30 for count in syncs.values()), syncs
    world.stop()


def test_expectations_hold_until_seen_or_five_minutes() -> None:
    """Creations are counted, deletions known by name, and neither is waited for for ever."""
    world = World((), kubelet=False)
    expectations = Expectations(world.loop)
    assert expectations.satisfied("a")
    expectations.expect_creations("a", 2)
    expectations.creation_observed("a")
    assert not expectations.satisfied("a")
    expectations.creation_observed("a")
    assert expectations.satisfied("a")
    expectations.expect_deletions("a", ["x", "y"])
    expectations.deletion_observed("a", "x")
    expectations.deletion_observed("a", "x")
    assert not expectations.satisfied("a")
    world.cluster.advance(301)
    assert expectations.satisfied("a")
    world.stop()
