"""The pictures of chapter 03: three members that can be broken, and etcd's keys at two revisions."""

from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

from conftest import MakeCluster
from course.widgets.browser import KeysView
from course.widgets.keys import difference, keys
from course.widgets.quorum import Quorum, rows


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
    assert [row[1] for row in rows(three.moments[-1])].count("dead") == 2 and three.svg.count(
        "dead: press to start"
    ) == 2
    three.start(first)
    three.advance(3)
    assert three.put("k", "4").startswith("OK")
    three.cut(left)
    assert "cut off from" in three.text
    three.heal()
    assert "cut off from" not in three.text


def test_members_and_links_can_be_pressed_and_the_past_gone_through() -> None:
    """A press kills or starts a member, cuts or mends a link; each is a moment that can be seen again."""
    three = Quorum()
    first = three.leader
    three.receive({"type": "act", "act": f"member {first}"})
    assert not three.group.nodes[first].alive and three.caption.endswith(f"member {first} was killed")
    for _ in range(8):
        three.receive({"type": "forward"})
    assert three.leader not in (0, first)
    three.receive({"type": "act", "act": f"member {first}"})
    three.receive({"type": "act", "act": "link 1 2"})
    assert three.group.nodes[first].alive and "link 1 to 2: cut, press to mend it" in three.svg
    three.receive({"type": "act", "act": "link 1 2"})
    assert not three.group.cut
    three.position = 0
    assert three.caption.endswith("three seconds after their start") and f"member {first}: leader" in three.svg
    three.receive({"type": "forward"})
    assert three.position == 1 and f"member {first}: dead" in three.svg
    ElementTree.fromstring(three.svg)


def test_the_key_browser_goes_through_revisions_with_a_watch_beside_it(make_cluster: MakeCluster) -> None:
    """Keys and their numbers at each write, what the watch told until then, and what changed; new writes come in."""
    cluster = make_cluster(profile="bare", scheduler=False, kubelets=False)
    client, prefix = cluster.client(), "/registry/configmaps/default/"
    config: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "one"}}
    made = client.create("configmaps", config, "default")
    view = KeysView.of(cast(Any, SimpleNamespace(cluster=cluster)), prefix)
    first = view.last
    assert f"{made['metadata']['resourceVersion']} PUT a" in view.svg and view.live
    client.patch("configmaps", "a", "default", {"data": {"k": "two"}})
    client.delete("configmaps", "a", "default")
    view.receive({"type": "forward"})
    assert view.position == first + 1 and not view.live
    assert "+    &quot;k&quot;: &quot;two&quot;" in view.svg and '+    "k": "two"' in view.text
    view.receive({"type": "forward"})
    assert view.live and "DELETE a" in view.caption and "  1  2" not in view.text
    view.position = first
    assert "a  " in view.text and "DELETE" not in view.text
    ElementTree.fromstring(view.svg)
    view.close()
    empty = KeysView.of(cast(Any, SimpleNamespace(cluster=cluster)), "/nothing/")
    assert "nothing under" in empty.caption
    empty.close()


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
