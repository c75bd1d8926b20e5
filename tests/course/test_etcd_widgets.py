"""The pictures of chapter 03: three members that can be broken, and etcd's keys at two revisions."""

from types import SimpleNamespace
from typing import Any

from conftest import MakeCluster
from course.widgets.keys import difference, keys
from course.widgets.quorum import Quorum


def test_a_quorum_is_lost_and_found() -> None:
    """With two of three dead writes fail and an old answer can still be had; the table says who is dead."""
    three = Quorum()
    assert three.put("k", "1") == "OK, revision 2"
    first = three.leader
    three.kill(first)
    three.advance(3)
    second = three.leader
    assert second not in (0, first) and three.put("k", "2") == "OK, revision 3"
    three.kill(second)
    three.advance(3)
    (left,) = {1, 2, 3} - {first, second}
    assert three.put("k", "3", left) == three.get("k", left) == "Error: etcdserver: request timed out"
    assert three.get("k", left, serializable=True) == "2"
    assert [row[1] for row in three.rows()].count("dead") == 2 and "<td>dead</td>" in three._repr_html_()
    three.start(first)
    three.advance(3)
    assert three.put("k", "4").startswith("OK")
    three.cut(left)
    assert "cut off from" in repr(three)
    three.heal()


def test_keys_and_what_changed(make_cluster: MakeCluster) -> None:
    """New, gone and changed keys between two revisions, with the lines of a single change."""
    cluster = make_cluster(profile="bare", scheduler=False, kubelets=False)
    lab: Any = SimpleNamespace(cluster=cluster)
    client, prefix = cluster.client(), "/registry/configmaps/default/"
    config: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "one"}}
    client.create("configmaps", config, "default")
    made = cluster.etcd.revision
    client.patch("configmaps", "a", "default", {"data": {"k": "two"}})
    changed = difference(lab, made, prefix=prefix)
    assert changed.rows == [("changed", prefix + "a")] and '+    "k": "two"' in changed.after
    client.create("configmaps", {**config, "metadata": {"name": "b"}}, "default")
    client.delete("configmaps", "a", "default")
    assert difference(lab, made, prefix=prefix).rows == [("gone", prefix + "a"), ("new", prefix + "b")]
    assert prefix + "a" in [row[0] for row in keys(lab, prefix, made).rows]
    assert "<td>new</td>" in difference(lab, made, prefix=prefix)._repr_html_()
