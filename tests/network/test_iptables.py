"""The iptables command on a node: it lists rules as the real one does, and what is changed by hand counts."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from k8s_core.network.rules import BadRule
from k8s_core.network.ruletext import parse
from k8s_core.network.tables import save
from tests.network import iptables
from tests.network.world import World, small_cluster


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        sticky = {"sessionAffinity": "ClientIP", "selector": {"app": "web"}}
        made.service("sticky", [{"port": 443, "protocol": "UDP"}], clusterIP="10.96.0.41", **sticky)
        made.service("empty", [{"port": 8080}], clusterIP="10.96.0.42")
        made.cluster.settle()
        yield made


@pytest.mark.parametrize("flags", ["-L -n", "-L -n --line-numbers", "-L", "-S", "-L KUBE-SERVICES -n", "-S FORWARD"])
@pytest.mark.parametrize("table", ["nat", "filter", "mangle"])
def test_rules_are_listed_as_the_real_one_lists_them(world: World, table: str, flags: str) -> None:
    """Letter by letter, for every kind of rule that kube-proxy and the kubelet make."""
    if sys.platform != "linux" or not iptables.has_namespaces():
        pytest.skip("no network namespace of one's own can be made here")
    text = save(world.network.hosts["worker1"].tables())
    for one in iptables.UNCOUNTED:
        text = text.replace(one, "")
    script = f"PATH=$PATH:/usr/sbin; iptables-restore; iptables -t {table} {flags}"
    real = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], input=text, text=True, capture_output=True, check=False
    )
    ours = world.shell(world.proxy("worker1"), f"iptables -t {table} {flags}")
    for name in ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"):
        ours = ours.replace(f" nfacct-name  {name}", "").replace(f" -m nfacct --nfacct-name  {name}", "")
    assert ours == real.stdout + real.stderr


def test_counters_show_which_rules_were_met(world: World) -> None:
    """-v shows how many packets matched: one connection, one more on its way through the Service's chain."""

    def seen() -> int:
        lines = world.shell(world.proxy("worker1"), "iptables -t nat -L KUBE-SERVICES -n -v").splitlines()
        return int(next(line.split()[0] for line in lines if "default/web:http cluster IP" in line))

    before = seen()
    world.send("box", "10.96.0.20", 80)
    assert seen() == before + 1
    saved = world.shell(world.proxy("worker1"), "iptables-save -c -t nat")
    assert f"[{before + 1}:{60 * (before + 1)}] -A KUBE-SERVICES -d 10.96.0.20/32" in saved


@pytest.mark.parametrize(
    ("typed", "saved"),
    [
        ("-p tcp --dport 80 -j DROP", "-p tcp -m tcp --dport 80 -j DROP"),
        ("-j REJECT -s 10.0.0.1", "-s 10.0.0.1/32 -j REJECT --reject-with icmp-port-unreachable"),
        ("--destination 10.0.0.0/8 ! -p udp -j ACCEPT", "-d 10.0.0.0/8 ! -p udp -j ACCEPT"),
        ("-m comment --comment plain -j ACCEPT", "-m comment --comment plain -j ACCEPT"),
        ("-m comment --comment 'two words' -j ACCEPT", '-m comment --comment "two words" -j ACCEPT'),
        ("-p udp -m udp ! --dport 53:60 -j RETURN", "-p udp -m udp ! --dport 53:60 -j RETURN"),
    ],
)
def test_what_is_typed_is_saved_in_one_form(typed: str, saved: str) -> None:
    """However a rule is typed, it is kept as iptables-save writes it."""
    assert parse(typed).text() == saved
    assert parse(saved).text() == saved


@pytest.mark.parametrize("wrong", ["--dport 80 -j DROP", "-s 300.1.1.1 -j DROP", "-p", "DROP", "--nonsense x"])
def test_what_is_no_rule_is_refused(wrong: str) -> None:
    """A rule that iptables would not take is not taken."""
    with pytest.raises(BadRule):
        parse(wrong)


def test_changes_by_hand_count_until_kube_proxy_writes(world: World) -> None:
    """-A, -I, -D, -C, -P and -F change what packets meet; kube-proxy's chains are mended when it writes them again."""
    proxy = world.proxy("worker1")

    def hand(command: str) -> str:
        return world.shell(proxy, f"iptables {command} 2>&1; echo $?", seconds=1).strip().splitlines()[-1]

    def result() -> str:
        return world.send("box", "10.96.0.20", 80).result

    assert hand("-A FORWARD -p tcp --dport 80 -j DROP") == "0"
    assert result() == "timeout"
    assert (hand("-C FORWARD -p tcp --dport 80 -j DROP"), hand("-C FORWARD -p tcp --dport 81 -j DROP")) == ("0", "1")
    assert hand("-D FORWARD 5") == "0"
    assert result() == "connected"
    assert hand("-P FORWARD DROP") == "0"
    assert "policy of the chain" in world.send("box", "10.96.0.20", 80).reason
    assert hand("-P FORWARD ACCEPT") == "0"
    assert hand("-t nat -F KUBE-SERVICES") == "0"
    assert result() == "timeout"
    world.service("another", clusterIP="10.96.0.60", selector={"app": "web"})
    world.cluster.settle()
    assert result() == "connected"
    assert hand("-t nat -F") == "0"
    world.service("third", clusterIP="10.96.0.61", selector={"app": "web"})
    world.cluster.settle()
    assert result() == "timeout"  # the jumps are gone: kube-proxy looks after them once an hour
    world.cluster.advance("1h1m")
    assert result() == "connected"


def test_without_its_canary_kube_proxy_writes_everything_again(world: World) -> None:
    """iptables -F and -X, as firewalls do when they start, take the canary away, too."""
    proxy = world.proxy("worker1")
    world.shell(proxy, "iptables -t nat -F; iptables -t nat -X", seconds=1)
    assert world.send("box", "10.96.0.20", 80).result == "connected"


def test_a_pod_of_its_own_has_no_tables(world: World) -> None:
    """In a Pod's namespace nothing may be seen or changed."""
    world.pod("shooter", "nicolaka/netshoot", command=["sleep", "1000000"])
    world.cluster.settle()
    assert "you must be root" in world.shell("shooter", "iptables -L")
    assert world.shell("shooter", "iptables-save") == ""
