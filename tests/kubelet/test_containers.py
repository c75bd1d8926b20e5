"""What a container sees: environment, volumes, files, processes; and logs, exec and attach from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_world import Outcome, World

from k8s_core.api.errors import StatusError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(Path(tmp_path_factory.mktemp("world")))
    made.create('{kind: ConfigMap, metadata: {name: settings}, data: {COLOR: blue, nested.txt: "one\\n"}}')
    made.create("{kind: Secret, metadata: {name: keys}, stringData: {PASSWORD: s3cret}}")
    made.create(
        "{kind: Service, metadata: {name: my-db}, spec: {clusterIP: 10.96.0.55, selector: {a: b}, "
        "ports: [{name: sql, port: 5432}]}}"
    )
    yield made
    made.cluster.stop()


def test_environment(world: World) -> None:
    """Values, references of every kind, $(NAME) in values and commands, Services' variables."""
    world.create("""
metadata: {name: env, labels: {app: x}}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "env; echo arg=$(GREETING)"]
    resources: {limits: {memory: 64Mi, cpu: 500m}}
    envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}, prefix: S_}]
    env:
    - {name: NAME, value: world}
    - {name: GREETING, value: "hello $(NAME) $$(NAME) $(NOPE)"}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: TINT, valueFrom: {configMapKeyRef: {name: settings, key: COLOR}}}
    - {name: MAYBE, valueFrom: {configMapKeyRef: {name: none, key: k, optional: true}}}
""")
    world.loop.advance(8)
    lines = dict(line.partition("=")[::2] for line in world.logs("env").splitlines())
    assert {k: lines.get(k) for k in ("GREETING", "NODE", "APP", "MEMORY", "CPU", "TINT", "COLOR", "S_PASSWORD")} == {
        "GREETING": "hello world $(NAME) $(NOPE)",
        "NODE": "n1",
        "APP": "x",
        "MEMORY": "64",
        "CPU": "1",
        "TINT": "blue",
        "COLOR": "blue",
        "S_PASSWORD": "s3cret",
    }
    assert "MAYBE" not in lines and lines["POD_IP"] == world.pod("env")["status"]["podIP"]
    assert lines["arg"].startswith("hello world")
    assert lines["MY_DB_SERVICE_HOST"] == "10.96.0.55" and lines["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert lines["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.55:5432"
    assert lines["KUBERNETES_SERVICE_HOST"] == "10.96.0.1" and lines["HOSTNAME"] == "env" and lines["HOME"] == "/root"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("no-map", "configMapKeyRef: {name: later, key: k}", 'configmap "later" not found'),
        (
            "no-key",
            "configMapKeyRef: {name: settings, key: nope}",
            "couldn't find key nope in ConfigMap default/settings",
        ),
        ("no-secret", "secretKeyRef: {name: none, key: k}", 'secret "none" not found'),
    ],
)
def test_configuration_errors(world: World, name: str, source: str, message: str) -> None:
    """CreateContainerConfigError says what is missing."""
    world.create(f"""
metadata: {{name: {name}}}
spec: {{containers: [{{name: c, image: nginx, env: [{{name: X, valueFrom: {{{source}}}}}]}}]}}
""")
    world.loop.advance(8)
    waiting = world.state(name)["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": message}
    assert ("Failed", f"Error: {message}") in world.events(name)
    if name == "no-map":
        world.create("{kind: ConfigMap, metadata: {name: later}, data: {k: v}}")
        world.loop.settle()
        assert world.phase(name) == "Running"
    world.delete(name, 0)


def test_volumes(world: World) -> None:
    """emptyDir shared by two containers, ConfigMap, Secret, downward API, token; read-only ones refuse writes."""
    world.create("""
metadata: {name: vol, labels: {a: "1", b: "2"}}
spec:
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: config, configMap: {name: settings, items: [{key: nested.txt, path: deep/er.txt}]}}
  - {name: secret, secret: {secretName: keys}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: host, hostPath: {path: /srv/data}}
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "while [ ! -f /shared/x ]; do sleep 1; done; cat /shared/x; sleep 1000"]
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: config, mountPath: /config}
    - {name: config, mountPath: /one.txt, subPath: deep/er.txt}
    - {name: secret, mountPath: /secret, readOnly: true}
    - {name: info, mountPath: /info}
    - {name: host, mountPath: /host}
  - {name: d, image: busybox, command: [sh, -c, "sleep 2; echo from d > /s/x; sleep 1000"],
     volumeMounts: [{name: shared, mountPath: /s}]}
""")
    world.loop.advance(12)
    assert world.logs("vol") == "from d\n"
    out = world.exec(
        "vol",
        "sh",
        "-c",
        "cat /config/deep/er.txt /one.txt /secret/PASSWORD /info/labels; echo x > /secret/y; echo kept > /host/f",
    ).out
    assert out == 'one\none\ns3creta="1"\nb="2"'
    assert (world.node_dir / "srv/data/f").read_text() == "kept\n"
    token = world.exec("vol", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token").out
    assert token.count(".") == 2
    listing = world.exec("vol", "ls", "/var/run/secrets/kubernetes.io/serviceaccount").out
    assert listing == "ca.crt\nnamespace\ntoken\n"
    world.delete("vol", 0)


def test_a_missing_volume_holds_the_pod(world: World) -> None:
    """ContainerCreating and FailedMount, until the ConfigMap is there; then updates reach the file within minutes."""
    world.create("""
metadata: {name: mount}
spec:
  volumes: [{name: v, configMap: {name: late}}]
  containers: [{name: c, image: nginx, volumeMounts: [{name: v, mountPath: /v}]}]
""")
    world.loop.advance(5)
    assert world.waiting("mount") == "ContainerCreating"
    assert ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "late" not found') in world.events(
        "mount"
    )
    assert world.loop.settle() < 5
    world.create("{kind: ConfigMap, metadata: {name: late}, data: {k: old}}")
    assert world.loop.settle() > 1 and world.phase("mount") == "Running"
    assert world.exec("mount", "cat", "/v/k").out == "old"
    world.client.patch("configmaps", "late", "default", {"data": {"k": "new"}})
    world.loop.advance(90)
    assert world.exec("mount", "cat", "/v/k").out == "new"
    world.delete("mount", 0)


def test_nothing_outside_the_node_is_reached(world: World, tmp_path: Path) -> None:
    """Links out of the node's folder lead nowhere."""
    (tmp_path / "outside").write_text("secret")
    (world.node_dir / "way").symlink_to(tmp_path)
    world.run(
        "escape",
        "sleep 1000",
        volumes=[{"name": "h", "hostPath": {"path": "/"}}],
        container={"volumeMounts": [{"name": "h", "mountPath": "/host"}]},
    )
    world.loop.advance(8)
    outcome = world.exec("escape", "cat", "/host/way/outside", "/host/../../../etc/passwd")
    assert "secret" not in outcome.out and "/root/" not in outcome.out.replace("/root:/bin/sh", "")
    world.delete("escape", 0)


def test_network_files(world: World) -> None:
    """resolv.conf and hosts as the kubelet writes them."""
    world.run("net", "sleep 1000", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x", "y"]}])
    world.loop.advance(8)
    assert world.exec("net", "cat", "/etc/resolv.conf").out == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    hosts = world.exec("net", "cat", "/etc/hosts").out
    address = world.pod("net")["status"]["podIP"]
    assert hosts.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert f"{address}\tnet\n" in hosts and hosts.endswith("# Entries added by HostAliases.\n1.2.3.4\tx\ty\n")
    assert world.exec("net", "hostname").out == "net\n"
    world.delete("net", 0)


def test_a_pods_search_list_ends_with_its_nodes(world: World) -> None:
    """The node's own /etc/resolv.conf adds its domain to new Pods' lists, and is all that dnsPolicy Default has."""
    domain = "g4f1htyerqjefkzrrs3tfzstyc.rx.internal.cloudapp.net"
    (world.kubelet.node_dir / "etc").mkdir(exist_ok=True)
    file = world.kubelet.node_dir / "etc/resolv.conf"
    file.write_text(f"nameserver 168.63.129.16\nsearch {domain}\n")
    world.run("first", "sleep 1000")
    world.run("plain", "sleep 1000", dnsPolicy="Default")
    world.loop.advance(8)
    file.unlink()
    assert world.exec("first", "cat", "/etc/resolv.conf").out == (
        f"search default.svc.cluster.local svc.cluster.local cluster.local {domain}\nnameserver 10.96.0.10\n"
        "options ndots:5\n"
    )
    assert world.exec("plain", "cat", "/etc/resolv.conf").out == f"search {domain}\nnameserver 168.63.129.16\n"
    world.delete("first", 0)
    world.delete("plain", 0)


def test_containers_of_a_pod_share_the_network(world: World) -> None:
    """localhost reaches the neighbour; two servers cannot have one port; another Pod's address is reached too."""
    world.create("""
metadata: {name: pair}
spec:
  containers:
  - {name: web, image: nginx}
  - {name: c, image: busybox, command: [sh, -c, "sleep 1000"]}
  - {name: second, image: nginx}
""")
    world.run("other", "sleep 1000")
    world.loop.advance(15)
    assert "Welcome to nginx!" in world.exec("pair", "wget", "-qO-", "localhost").out
    assert 'GET / HTTP/1.1" 200 615' in world.logs("pair", "web")
    assert "bind() to 0.0.0.0:80 failed (98: Address already in use)" in world.logs("pair", "second")
    address = world.pod("pair")["status"]["podIP"]
    assert "Welcome to nginx!" in world.exec("other", "wget", "-qO-", address).out
    refused = world.exec("other", "wget", "-qO-", f"{address}:81")
    assert refused.code == 1 and "can't connect to remote host" in refused.err
    world.delete("pair", 0)
    world.delete("other", 0)


def test_logs(world: World) -> None:
    """tail, timestamps, since, limit, previous, follow; and what is said when there is none."""
    world.run("talk", "for i in 1 2 3; do echo line $i; sleep 1; done; echo bad >&2; exit 1")
    with pytest.raises(StatusError) as early:
        world.logs("talk")
    assert early.value.code == 400
    assert early.value.status["message"] == 'container "c" in pod "talk" is waiting to start: ContainerCreating'
    world.loop.advance(2)
    assert world.logs("talk").startswith("line 1\n")
    with pytest.raises(StatusError) as none:
        world.logs("talk", previous=True)
    assert none.value.status["message"] == 'previous terminated container "c" in pod "talk" not found'
    followed: list[bytes] = []
    ended: list[bool] = []
    stream = world.kubelet.server.container_logs("default", "talk", "c", follow=True, tail_lines=1)
    stream.subscribe(followed.append, lambda: ended.append(True))
    world.loop.advance(12)
    assert b"".join(followed).endswith(b"line 2\nline 3\nbad\n") and ended
    assert world.logs("talk", previous=True, tail_lines=1) == "bad\n"
    assert world.logs("talk", previous=True, limit_bytes=6) == "line 1"
    stamped = world.logs("talk", previous=True, timestamps=True).splitlines()[0]
    assert stamped[:4] == "2026" and stamped.endswith("Z line 1")
    world.delete("talk", 0)


def test_exec(world: World) -> None:
    """Output, exit codes, stdin, and runc's words for what is not there."""
    world.run("box", "sleep 1000")
    world.loop.advance(8)
    assert (
        world.exec("box", "sh", "-c", "echo out; echo err >&2; exit 3").__dict__.items()
        >= {"out": "out\n", "err": "err\n", "code": 3, "message": ""}.items()
    )
    assert world.exec("box", "cat", stdin=b"typed").out == "typed"
    missing = world.exec("box", "nosuch")
    assert 'exec: "nosuch": executable file not found in $PATH: unknown' in missing.message
    assert world.exec("box", "ps").out.splitlines()[1].split() == ["1", "root", "0:00", "sleep", "1000"]
    wrong = Outcome(world.kubelet.server.exec("default", "nopod", "c", ["ls"]))
    assert wrong.message == 'unable to upgrade connection: container not found ("c")'
    world.delete("box", 0)


def test_a_terminal(world: World) -> None:
    """exec -it: a prompt, echo of what is typed, backspace, ^C, and the exit code of `exit`."""
    world.run("term", "sleep 1000")
    world.loop.advance(8)
    outcome = world.exec("term", "sh", stdin=b"", tty=True)
    assert outcome.out == "/ # "
    for typed in (b"echo hellp\x7fo\r", b"sleep 50\r", b"\x03", b"cd /tmp\r", b"exit 4\r"):
        outcome.session.write(typed)
        world.loop.advance(1)
    assert outcome.out == ("/ # echo hellp\b \bo\r\nhello\r\n/ # sleep 50\r\n^C\r\n/ # cd /tmp\r\n/tmp # exit 4\r\n")
    assert outcome.code == 4
    world.delete("term", 0)


def test_attach(world: World) -> None:
    """attach sees what the first process writes from then on, and its stdin."""
    world.run(
        "echoes",
        "while read line; do echo got $line; done; echo end",
        restartPolicy="Never",
        container={"stdin": True, "stdinOnce": True},
    )
    world.loop.advance(8)
    outcome = Outcome(world.kubelet.server.attach("default", "echoes", "c", stdin=True))
    outcome.session.write(b"one\n")
    world.loop.advance(1)
    assert outcome.out == "got one\n"
    outcome.session.close_stdin()
    world.loop.advance(3)
    assert (outcome.out, outcome.code) == ("got one\nend\n", 0)
    assert world.phase("echoes") == "Succeeded"


def test_programs(world: World) -> None:
    """redis answers, httpd serves, mysql wants a password."""
    world.run("redis", image="redis")
    world.run("httpd", image="httpd:alpine")
    world.run("mysql", image="mysql:8")
    world.loop.advance(40)
    assert world.exec("redis", "redis-cli", "set", "k", "v").out == "OK\n"
    assert world.exec("redis", "redis-cli", "get", "k").out == "v\n"
    assert "Ready to accept connections tcp" in world.logs("redis")
    assert "resuming normal operations" in world.logs("httpd")
    assert world.waiting("mysql") == "CrashLoopBackOff"
    assert "Database is uninitialized and password option is not specified" in world.logs("mysql", previous=True)
    for name in ("redis", "httpd", "mysql"):
        world.delete(name, 0)


def test_nginx_with_a_broken_configuration(world: World) -> None:
    """nginx reads its configuration: a broken one ends it with [emerg], a good one moves its port."""
    world.create(
        "{kind: ConfigMap, metadata: {name: good}, data: {default.conf: 'server { listen 8081; location / "
        '{ return 200 "moved\\n"; } }\'}}'
    )
    world.create("{kind: ConfigMap, metadata: {name: broken}, data: {default.conf: 'server { listen 8081;'}}")
    for name in ("good", "broken"):
        world.run(
            f"nginx-{name}",
            image="nginx",
            volumes=[{"name": "v", "configMap": {"name": name}}],
            container={"volumeMounts": [{"name": "v", "mountPath": "/etc/nginx/conf.d"}]},
        )
    world.loop.advance(12)
    assert world.exec("nginx-good", "curl", "-s", "localhost:8081").out == "moved\n"
    assert 'unexpected end of file, expecting "}" in /etc/nginx/conf.d/default.conf:1' in world.logs(
        "nginx-broken", previous=True
    )
