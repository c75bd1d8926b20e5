"""What all tests share: clusters that are checked for broken promises when a test is done with them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from k8s_core.cluster import Cluster

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Make clusters whose loop raises what a callback raises; afterwards nobody may have changed a shared object."""
    made: list[Cluster] = []

    def make(**options: Any) -> Cluster:
        cluster = Cluster(**options)
        cluster.loop.strict = True
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        mutated = cluster.apiserver.registry.storage.mutated()
        cluster.stop()
        assert not mutated, f"shared objects were changed in place: {mutated}"


@pytest.fixture
def control_plane(make_cluster: MakeCluster) -> Cluster:
    """A bare control plane: apiserver, etcd and controllers, with no scheduler and no kubelets."""
    return make_cluster(profile="bare", scheduler=False, kubelets=False)
