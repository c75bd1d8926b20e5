"""The widgets of the network: a Service's map, three ports, a look-up unrolled, who answered, the modes compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from course import lab as labs
from course.kernel import LabError
from course.lab import Lab
from course.widgets import names, packet, services
from k8s_core.network.resolver import Config


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_HOME", str(tmp_path_factory.mktemp("home")))
    patch.setenv("COURSE_STATIC", "1")
    patch.chdir(tmp_path_factory.mktemp("work"))
    made = labs.start("13-nodeport", learner="ann")
    made.kubectl("create deployment shop --image=nginx --replicas=2")
    made.kubectl("create service nodeport shop --tcp=8080:80 --node-port=30007")
    made.kubectl("run client --image=busybox -- sleep 86400")
    made.settle()
    yield made
    labs.stop()
    patch.undo()


def test_a_services_map_follows_its_pods(lab: Lab) -> None:
    """Service, slice, endpoints with their Pods; a Pod that is gone or new changes it; earlier moments stay."""
    view = lab.service("shop")
    assert view.text.splitlines()[0].startswith("Service shop (NodePort ")
    assert view.text.count(" ready: shop-") == 2
    before = view.last
    lab.kubectl("scale deployment shop --replicas=1")
    lab.settle()
    view.refresh()
    assert view.last > before
    assert view.text.count(" ready: shop-") == 1
    assert "1 slice, 1 endpoint, 1 ready" in view.caption
    view.position = 0
    assert view.text == "There is no Service shop."
    lab.kubectl("scale deployment shop --replicas=2")
    lab.settle()


def test_the_map_shows_what_is_not_ready_and_what_is_left_out() -> None:
    """Not ready and ending endpoints look different and say so; a Pod that no slice names is told."""
    endpoints = [
        {"address": f"10.32.1.{i}", "pod": f"p{i}", "node": "w", "state": state, "status": "Running"}
        for i, state in enumerate(("ready", "not ready", "ending"))
    ]
    service = {"type": "ClusterIP", "address": "10.96.0.9", "ports": "80", "selector": "a=b"}
    others = [{"pod": "late", "status": "Pending", "node": ""}]
    told = {"name": "s", "time": "+1 s", "revision": 1, "service": service, "others": others,
            "slices": [{"name": "s-1", "ports": "80", "endpoints": endpoints}]}  # fmt: skip
    picture = services.picture(told)
    for words in ("10.32.1.0 ready", "10.32.1.1 not ready", "10.32.1.2 ending", "late: not in a slice"):
        assert words in picture
    assert services.summary(told) == "1 slice, 3 endpoints, 1 ready"
    assert picture.count('stroke-dasharray="4 3"') == 2
    assert services.text({**told, "slices": [], "others": []}).endswith("  no slices")


def test_three_ports_on_one_picture(lab: Lab) -> None:
    """Every node with the node port, the Service with its own, each Pod with the target; each is said in words."""
    view = lab.ports("shop")
    for part in ("10.0.0.4:30007", "10.0.0.6:30007", ":8080", ":80"):
        assert part in view.svg
    assert [line.split(":")[0] for line in view.text.splitlines()] == ["nodePort 30007", "port 8080", "targetPort 80"]
    view.position = 1
    assert view.caption.startswith("port 8080: the Service's own")


def test_a_look_up_unrolled(lab: Lab) -> None:
    """The resolver's decision, then a query and an answer for each try; as a string its lines."""
    view = lab.lookup("client", "shop.default")
    assert str(view).splitlines()[-1].endswith("(4 queries)")
    assert view.steps[0]["text"] == "shop.default has 1 dot, ndots is 5: the search list's 3 domains first"
    assert [s["text"] for s in view.steps[1:3]] == ["A shop.default.default.svc.cluster.local?", "NXDOMAIN"]
    view.position = 1
    assert "A shop.default.default.svc.cluster.local?" in view.caption


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.b.", "a.b. ends with a dot: no search"),
        ("a", "a has 0 dots, ndots is 2: the search list's 1 domains first"),
        ("a.b.c", "a.b.c has 2 dots, ndots is 2: as it is first, then 1 domains"),
    ],
)
def test_what_the_resolver_decides(name: str, said: str) -> None:
    """By its dots a name is searched first, or last, or not at all."""
    assert names.decision(name, Config(["10.96.0.10"], ["x"], 2)) == said


def test_who_answered_is_text_and_picture(lab: Lab) -> None:
    """A bar for each Pod, and the line at which all would be if each got the same."""
    found = lab.flows("outside", "10.0.0.4", 30007, 200)
    assert len(found.splitlines()) == 2
    assert "the same for all" in found.svg
    assert found._repr_mimebundle_().keys() == {"image/svg+xml", "text/plain"}
    refused = lab.flows("outside", "10.0.0.4", 30999, 3)
    assert str(refused).startswith("refused")


def test_a_request_shows_names_rules_and_the_answer(lab: Lab) -> None:
    """The look-ups, the rules that led to a Pod, the Pod, and what it said; a wrong name ends with the look-ups."""
    view = lab.request("client", "http://shop:8080/")
    assert [step["node"] for step in view.steps[:2]] == ["dns", "dns"]
    assert any(step["where"].startswith("KUBE-SVC-") for step in view.steps)
    assert view.steps[-1]["words"] == "200 OK"
    assert view.position == view.last
    assert lab.request("client", "http://shop:8080/absent").steps[-1]["words"] == "404 Not Found"
    assert "Name or service not known" in lab.request("client", "http://nowhere/").steps[-1]["words"]
    assert lab.request("outside", "http://x/", at="10.0.0.4").steps[-1]["words"].endswith("Connection refused")


def test_odds_stand_at_every_branch(lab: Lab) -> None:
    """Where chance decides, the step says how many packets go on and how many go this way."""
    seen = set()
    address = lab.kubectl("get service shop -o jsonpath={.spec.clusterIP}")
    for _ in range(30):
        seen |= {step["odds"] for step in lab.packet("client", address, 8080).steps}
    assert seen == {"", "50.0 % go on", "50.0 % go this way"}
    rule = {"node": "n", "hook": "PREROUTING", "chain": "nat/KUBE-SVC-A", "packet": "p"}
    third = {**rule, "rule": "-m statistic --mode random --probability 0.33333333349 -j X", "outcome": "passed over"}
    half = {**rule, "rule": "-m statistic --mode random --probability 0.50000000000 -j Y", "outcome": "KUBE-SEP-Y"}
    flow = {"steps": [third, half], "result": "timeout", "reason": "x"}
    assert [step["odds"] for step in packet.steps(flow)] == ["66.7 % go on", "33.3 % go this way", ""]


def test_three_modes_of_one_service(lab: Lab) -> None:
    """iptables, nftables and IPVS of the same Service, and of no other."""
    text = lab.modes("shop")
    assert text.count("default/shop:8080-80 -> ") == 2
    assert "numgen random mod 2 vmap" in text
    assert "IPVS: " in text
    assert "kube-dns" not in text


@pytest.mark.parametrize("ask", ["service", "ports", "modes"])
def test_what_is_not_there_is_said_plainly(lab: Lab, ask: str) -> None:
    """No traceback for a wrong name."""
    with pytest.raises(LabError, match='There is no Service "nope" in the namespace default'):
        getattr(lab, ask)("nope")


def test_what_can_be_installed(lab: Lab) -> None:
    """An Ingress controller by its name; a wrong name says what there is."""
    lab.install("ingress-nginx")
    assert "nginx" in lab.kubectl("get ingressclass")
    with pytest.raises(LabError, match="There is: ingress-nginx"):
        lab.install("traefik")


def test_outputs_need_no_kernel(lab: Lab, tmp_path: Path) -> None:
    """What is shown leaves its picture and its text where widgets cannot run."""
    for view in (lab.service("shop"), lab.ports("shop"), lab.lookup("client", "shop")):
        assert view._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
