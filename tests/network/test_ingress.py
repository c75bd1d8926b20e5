"""Ingress: hosts and paths lead to Pods through the controller's Pod, and what cannot be answered says why."""

from collections.abc import Iterator

import pytest

from k8s_core.api import Object
from k8s_core.network.ingress import MANIFEST, Route
from tests.network.world import World, small_cluster


def rule(host: str, *paths: tuple[str, str, str, int | str]) -> Object:
    """(path, type, Service, port)."""
    found = []
    for path, kind, service, port in paths:
        named = {"number": port} if isinstance(port, int) else {"name": port}
        backend = {"service": {"name": service, "port": named}}
        found.append({"path": path, "pathType": kind, "backend": backend})
    return {"http": {"paths": found}, **({"host": host} if host else {})}


def ingress(world: World, name: str, *rules: Object, **more: object) -> None:
    annotations = more.pop("annotations", {})
    world.client.create(
        "ingresses.networking.k8s.io",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "namespace": "default", "annotations": annotations},
            "spec": {"ingressClassName": "nginx", "rules": list(rules), **more},
        },
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        made.cluster.load_balancer = True
        made.cluster.install(MANIFEST)
        for name in ("cart", "pay"):
            made.pod(name, "traefik/whoami", node="worker1")
            made.service(name, [{"name": "web", "port": 8000, "targetPort": 80}], selector={"app": name})
        made.pod("tools", "nicolaka/netshoot", command=["sleep", "1000000"])
        made.service("nobody", selector={"app": "nobody"})
        made.service("wrong", [{"port": 80, "targetPort": 81}], selector={"app": "web"})
        ingress(
            made,
            "shop",
            rule("shop.example.com", ("/", "Prefix", "web", "http"), ("/cart", "Prefix", "cart", 8000),
                 ("/cart/total", "Exact", "pay", "web"), ("/nobody", "Prefix", "nobody", 80),
                 ("/wrong", "Prefix", "wrong", 80), ("/none", "Prefix", "absent", 80)),
            rule("*.example.com", ("/", "Prefix", "pay", 8000)),
        )  # fmt: skip
        ingress(made, "alien", rule("alien.example.org", ("/", "Prefix", "web", 80)), ingressClassName="other")
        rewrite = {"nginx.ingress.kubernetes.io/rewrite-target": "/$2"}
        regex = ("/api(/|$)(.*)", "ImplementationSpecific", "cart", 8000)
        ingress(made, "api", rule("api.example.org", regex), annotations=rewrite)
        tls = [{"hosts": ["safe.example.org"], "secretName": "x"}]
        ingress(made, "safe", rule("safe.example.org", ("/", "Prefix", "cart", 8000)), tls=tls)
        made.cluster.advance("2m")
        yield made


def get(world: World, path: str, host: str = "shop.example.com", scheme: str = "http") -> str:
    address = world.client.get("services", "ingress-nginx-controller", "ingress-nginx")["spec"]["clusterIP"]
    return world.shell("tools", f"curl -s -m 9 -i -H 'Host: {host}' '{scheme}://{address}{path}'")


@pytest.mark.parametrize(
    ("path", "host", "said"),
    [
        ("/", "shop.example.com", "Welcome to nginx"),
        ("/cart", "shop.example.com", "Hostname: cart"),
        ("/cart/3?x=1", "shop.example.com", "GET /cart/3?x=1 HTTP/1.1"),
        ("/cartoon", "shop.example.com", "404 Not Found"),
        ("/cart/total", "shop.example.com", "Hostname: pay"),
        ("/nobody", "shop.example.com", "503 Service Unavailable"),
        ("/none", "shop.example.com", "503 Service Unavailable"),
        ("/wrong", "shop.example.com", "502 Bad Gateway"),
        ("/", "other.example.com", "Hostname: pay"),
        ("/", "deep.other.example.com", "404 Not Found"),
        ("/", "alien.example.org", "404 Not Found"),
        ("/api/users/7", "api.example.org", "GET /users/7 HTTP/1.1"),
        ("/", "safe.example.org", "308 Permanent Redirect"),
    ],
)
def test_host_and_path_choose(world: World, path: str, host: str, said: str) -> None:
    """Exact before long before short; an exact host before a wildcard; nginx's pages for what leads nowhere."""
    assert said in get(world, path, host)


def test_https_is_answered_where_http_is_sent_away(world: World) -> None:
    """With tls in the Ingress, http is redirected and https answered."""
    assert "Location: https://safe.example.org/a" in get(world, "/a", "safe.example.org")
    assert "X-Forwarded-Proto: https" in get(world, "/a", "safe.example.org", "https")


def test_the_client_is_named_in_headers(world: World) -> None:
    """The Pod sees the controller as its client, and the real one in X-Forwarded-For."""
    page = get(world, "/cart")
    assert f"X-Forwarded-For: {world.address('tools')}" in page
    assert "X-Forwarded-Proto: http" in page
    assert f"RemoteAddr: {world.address('tools')}" not in page


def test_requests_are_dealt_in_turn(world: World) -> None:
    """Three Pods behind a Service get every third request each."""
    before = len(world.network.flows)
    for _ in range(6):
        get(world, "/")
    web = {world.address(f"web-{n}"): 0 for n in (1, 2, 3)}
    for flow in list(world.network.flows)[before:]:
        if flow.destination in web:
            web[flow.destination] += 1
    assert list(web.values()) == [2, 2, 2]


def test_the_way_shows_the_rule_that_chose(world: World) -> None:
    """The connection to the Pod begins with the Ingress, the path and the Service that led there."""
    get(world, "/cart")
    flow = next(f for f in reversed(world.network.flows) if f.destination == world.address("cart"))
    assert flow.name.startswith("ingress-nginx/")
    assert flow.data()["steps"][0]["hook"] == "ingress"
    assert (
        "Ingress default/shop: shop.example.com/cart (Prefix) leads to Service cart" in flow.data()["steps"][0]["rule"]
    )


def test_the_status_says_where(world: World) -> None:
    """The balancer's address of the controller's Service stands in each Ingress of its class, and in no other."""
    address = world.client.get("services", "ingress-nginx-controller", "ingress-nginx")["status"]["loadBalancer"]
    found = {
        i["metadata"]["name"]: i["status"]["loadBalancer"]
        for i in world.client.list("ingresses.networking.k8s.io", "default")
    }
    assert found["shop"] == {"ingress": [{"ip": address["ingress"][0]["ip"]}]}
    assert found["alien"] == {}


def test_a_client_outside_comes_through_the_balancer(world: World) -> None:
    """From outside by the balancer's address, with externalTrafficPolicy Local: the controller sees the real client."""
    address = world.client.get("ingresses.networking.k8s.io", "shop", "default")["status"]["loadBalancer"]["ingress"][0]
    flow = world.send("outside", address["ip"], 80)
    assert (flow.result, flow.seen_from) == ("connected", world.network.outside.address)


def test_an_ingress_without_a_class_gets_the_default_one(world: World) -> None:
    """Admission puts the name of the class that is marked, unless the old annotation names one."""
    for marked in (False, True):
        ingress(world, f"plain-{marked}".lower(), rule("", ("/", "Prefix", "web", 80)), ingressClassName=None)
        mark = {"metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}}
        world.client.patch("ingressclasses.networking.k8s.io", "nginx", "", mark)
    old = {"kubernetes.io/ingress.class": "other"}
    ingress(world, "old", rule("", ("/", "Prefix", "web", 80)), ingressClassName=None, annotations=old)
    found = {
        i["metadata"]["name"]: i["spec"].get("ingressClassName")
        for i in world.client.list("ingresses.networking.k8s.io", "default")
    }
    assert (found["plain-false"], found["plain-true"], found["old"]) == (None, "nginx", None)


def test_without_its_role_the_controller_ends(world: World) -> None:
    """A controller whose ServiceAccount may not list Ingresses says so and exits."""
    world.pod("loose", "registry.k8s.io/ingress-nginx/controller:v1.14.0", args=["/nginx-ingress-controller"])
    world.cluster.advance("20s")
    state = world.client.get("pods", "loose", "default")["status"]["containerStatuses"][0]
    assert state["restartCount"] > 0 or "terminated" in state["state"] or "waiting" in state["state"]


@pytest.mark.parametrize(
    ("kind", "path", "asked", "takes"),
    [
        ("Prefix", "/", "/anything", True),
        ("Prefix", "/foo", "/foo/", True),
        ("Prefix", "/foo/", "/foo/bar", True),
        ("Prefix", "/foo", "/foobar", False),
        ("Exact", "/foo", "/foo/", False),
        ("Exact", "/foo", "/foo", True),
    ],
)
def test_path_types(kind: str, path: str, asked: str, *, takes: bool) -> None:
    """The table of kubernetes.io/docs: prefixes count by whole elements."""
    assert Route("", path, kind, "default/x", "web", 80).takes(asked) is takes
