"""What one types on a node: processes, services, the runtime's tools, certificates, kubectl."""

import json
import re
from collections.abc import Iterator

import pytest

from k8s_core.cluster import Cluster
from k8s_core.kubelet.host import Outcome


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A whole cluster with a Pod web on worker1, for tests that leave no traces."""
    with Cluster() as made:
        made.loop.strict = True
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"nodeName": "worker1", "containers": [{"name": "web", "image": "nginx:1.29"}]},
        }
        made.client().create("pods", pod)
        made.settle()
        yield made


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A cluster of the test's own, which it may break."""
    with Cluster() as made:
        made.loop.strict = True
        made.settle()
        yield made


def ran(cluster: Cluster, command: str, node: str = "cp") -> str:
    """What a command prints that must succeed."""
    outcome = cluster.node(node).run(command)
    assert outcome.code == 0, outcome
    return outcome.output


def test_ps_shows_the_apiserver_as_the_notes_do(cluster: Cluster) -> None:
    """`ps -ef | grep kube-api` shows its command line and the grep itself, as on a kubeadm node."""
    first, second = ran(cluster, "ps -ef | grep kube-api").splitlines()
    assert re.match(
        r"root +\d+ +\d+ +\d+ \d\d:\d\d \? +\d\d:\d\d:\d\d kube-apiserver --advertise-address=10.0.0.4 ", first
    )
    assert first.endswith("--tls-private-key-file=/etc/kubernetes/pki/apiserver.key")
    assert second.endswith("pts/0    00:00:00 grep --color=auto kube-api")


def test_processes_form_one_tree(cluster: Cluster) -> None:
    """A container's process is a child of its shim, the shim of init; pause is beside it."""
    rows = [line.split(None, 7) for line in ran(cluster, "ps -ef", "worker1").splitlines()[1:]]
    parents, names = {r[1]: r[2] for r in rows}, {r[1]: r[7].split()[0] for r in rows}
    nginx = next(pid for pid, name in names.items() if name == "nginx:")
    shim = parents[nginx]
    assert names[shim].endswith("containerd-shim-runc-v2") and names[parents[shim]] == "/sbin/init"
    assert "/pause" in [names[pid] for pid, parent in parents.items() if parent == shim]


def test_crictl_lists_what_the_kubelet_runs(cluster: Cluster) -> None:
    """ps, pods and images have crictl's columns and show the Pod's container, sandbox and image."""
    head, *rows = ran(cluster, "crictl ps", "worker1").splitlines()
    assert head.split("  ")[0] == "CONTAINER" and head.endswith("NAMESPACE")
    web = next(row for row in rows if " web " in row)
    assert re.match(r"[0-9a-f]{13} +[0-9a-f]{13} +.+ ago +Running +web +0 +[0-9a-f]{13} +web +default$", web)
    assert " Ready " in next(r for r in ran(cluster, "crictl pods", "worker1").splitlines() if " web " in r)
    assert "docker.io/library/nginx" in ran(cluster, "crictl images", "worker1")
    inside = ran(
        cluster, "crictl inspect -o go-template --template '{{.info.pid}}' $(crictl ps -q --name web)", "worker1"
    )
    assert f" {inside.strip()} " in ran(cluster, "ps -ef | grep 'nginx: master'", "worker1")


def test_each_tool_sees_its_own_namespace(cluster: Cluster) -> None:
    """The kubelet's containers are in containerd's namespace k8s.io: docker and a bare ctr or nerdctl show none."""
    assert re.fullmatch(r"CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n", ran(cluster, "docker ps"))
    for tool in ("nerdctl", "ctr"):
        listing = "ps" if tool == "nerdctl" else "containers ls"
        assert len(ran(cluster, f"{tool} {listing}", "worker1").splitlines()) == 1
        assert "nginx" in ran(cluster, f"{tool} -n k8s.io {listing}", "worker1")
    assert "k8s.io" in ran(cluster, "ctr namespaces ls")


def test_containers_are_printed_as_a_template_says(cluster: Cluster) -> None:
    """--format fills in fields, with a head for a table, as objects for json; a field that is none is refused."""
    lines = ran(cluster, "nerdctl -n k8s.io ps --format '{{.Names}} {{.Status}}'", "worker1").splitlines()
    assert "k8s://default/web/web Up" in lines
    table = ran(cluster, "nerdctl -n k8s.io ps --format 'table {{.ID}}\\t{{.Image}}'", "worker1")
    assert re.match(r"CONTAINER ID +IMAGE\n[0-9a-f]{12} +\S+\n", table)
    objects = ran(cluster, "nerdctl -n k8s.io ps --format json", "worker1").splitlines()
    assert [json.loads(each)["Names"] for each in objects] == [line.removesuffix(" Up") for line in lines]
    assert cluster.node("worker1").run("nerdctl ps --format '{{.Nonsense}}'").code == 1


def test_docker_run_is_nothing_to_the_kubelet(own: Cluster) -> None:
    """A container that docker starts runs on the node, and neither the CRI nor the API knows of it."""
    id = ran(own, "docker run -d --name lonely nginx", "worker1").splitlines()[-1]
    assert "lonely" in ran(own, "docker ps", "worker1") and "nginx: master" in ran(own, "ps -ef", "worker1")
    assert id not in ran(own, "crictl ps -a -q", "worker1")
    assert own.node("worker1").run(f"crictl inspect {id[:12]}x").code == 1
    assert not [p for p in own.client().list("pods") if p["metadata"]["name"] == "lonely"]
    ran(own, "docker stop lonely && docker rm lonely", "worker1")
    assert "nginx: master" not in ran(own, "ps -ef", "worker1")


def test_a_container_that_crictl_stops_comes_back(own: Cluster) -> None:
    """The kubelet starts it again: what counts is the Pod, not the container."""
    before = ran(own, "crictl ps -q --name kube-scheduler").strip()
    assert ran(own, f"crictl stop {before}").strip() == before
    own.settle()
    after = ran(own, "crictl ps -q --name kube-scheduler").strip()
    assert after and after != before
    assert (
        own.client().get("pods", "kube-scheduler-cp", "kube-system")["status"]["containerStatuses"][0]["restartCount"]
        == 1
    )


def test_systemctl_stop_kubelet_stops_the_kubelet(own: Cluster) -> None:
    """The node's containers go on, its lease is not renewed, and it becomes NotReady; start brings it back."""
    node = own.node("worker1")
    assert node.run("systemctl is-active kubelet").output == "active\n"
    ran(own, "systemctl stop kubelet", "worker1")
    stopped = node.run("systemctl status kubelet")
    assert stopped.code == 3 and "Active: inactive (dead)" in stopped.output
    assert "/usr/bin/kubelet" not in ran(own, "ps -ef", "worker1") and "kube-proxy" in ran(own, "ps -ef", "worker1")
    own.advance(60)
    assert ready(own, "worker1") == ("Unknown", "NodeStatusUnknown")
    ran(own, "systemctl start kubelet", "worker1")
    own.settle()
    assert ready(own, "worker1") == ("True", "KubeletReady")


def ready(cluster: Cluster, node: str) -> tuple[str, str]:
    """(status, reason) of a node's Ready condition."""
    found = next(c for c in cluster.client().get("nodes", node)["status"]["conditions"] if c["type"] == "Ready")
    return found["status"], found["reason"]


def test_a_wrong_socket_keeps_the_kubelet_down(own: Cluster) -> None:
    """It says why in its log, systemd tries every ten seconds, and mending the flag brings the node back: the next try
    is under way, so who waits for the cluster to settle waits for it."""
    node = own.node("worker1")
    flags = "/var/lib/kubelet/kubeadm-flags.env"
    ran(
        own,
        f"sed -i s,run/containerd/containerd.sock,var/run/dockershim.sock, {flags}; systemctl restart kubelet",
        "worker1",
    )
    assert "activating (auto-restart) (Result: exit-code)" in node.run("systemctl status kubelet").output
    assert "dial unix /var/run/dockershim.sock: connect: no such file or directory" in ran(
        own, "journalctl -u kubelet --no-pager -n 5", "worker1"
    )
    own.advance(60)
    assert ready(own, "worker1")[0] == "Unknown"
    assert "restart counter is at 5" in ran(own, "journalctl -u kubelet", "worker1")
    ran(own, f"sed -i s,var/run/dockershim.sock,run/containerd/containerd.sock, {flags}", "worker1")
    own.settle()
    assert ready(own, "worker1")[0] == "True"


def test_without_containerd_the_node_is_not_ready(own: Cluster) -> None:
    """Containers go on; the tools find no socket, and the kubelet says that the runtime is down."""
    node = own.node("worker1")
    ran(own, "systemctl stop containerd", "worker1")
    own.advance(15)
    condition = next(c for c in own.client().get("nodes", "worker1")["status"]["conditions"] if c["type"] == "Ready")
    assert (condition["status"], condition["message"]) == ("False", "container runtime is down")
    refused = node.run("crictl ps")
    assert refused.code == 1 and refused.output.startswith("FATA[0000] validate service connection: ")
    assert "kube-proxy" in ran(own, "ps -ef", "worker1")
    ran(own, "systemctl start containerd; crictl ps", "worker1")
    own.advance(15)
    assert ready(own, "worker1")[0] == "True"


def test_a_killed_kubelet_is_started_again(own: Cluster) -> None:
    """systemd restarts it after ten seconds, with another process number."""
    before = ran(own, "pgrep kubelet", "worker1")
    ran(own, f"kill -9 {before.strip()}", "worker1")
    own.advance(5)
    assert own.node("worker1").run("pgrep kubelet").code == 1
    own.advance(6)
    assert ran(own, "pgrep kubelet", "worker1") != before


def test_certificates_can_be_read(cluster: Cluster) -> None:
    """openssl and kubeadm show the apiserver's certificate."""
    path = "/etc/kubernetes/pki/apiserver.crt"
    assert ran(cluster, f"openssl x509 -in {path} -noout -subject -issuer") == (
        "subject=CN = kube-apiserver\nissuer=CN = kubernetes\n"
    )
    assert "DNS:kubernetes.default.svc" in ran(cluster, f"openssl x509 -in {path} -noout -text")
    assert ran(cluster, f"openssl verify -CAfile /etc/kubernetes/pki/ca.crt {path}") == f"{path}: OK\n"
    table = ran(cluster, "kubeadm certs check-expiration")
    assert re.search(r"^apiserver-etcd-client +\w{3} \d\d, \d{4} 00:00 UTC +\w+ +etcd-ca +no", table, re.M)


def test_kubectl_works_on_the_control_plane_only(cluster: Cluster) -> None:
    """The real kubectl, with the node's admin.conf; a worker has none and asks localhost:8080."""
    assert re.search(r"^worker1 +Ready ", ran(cluster, "kubectl get nodes"), re.M)
    assert ran(
        cluster,
        "kubectl --kubeconfig /etc/kubernetes/scheduler.conf auth whoami -o jsonpath={.status.userInfo.username}",
    ) == ("system:kube-scheduler")
    ran(
        cluster,
        "kubectl create configmap from-node --from-file=/etc/hostname --dry-run=client -o yaml | grep 'hostname: |'",
    )
    refused = cluster.node("worker1").run("kubectl get nodes")
    assert refused.code == 1
    assert (
        refused.output
        == "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "kubectl cp x y",
        "kubectl -n get cp x y",
        "kubectl --warnings-as-errors cp x y",
        "kubectl get pods -ojsonpath-file=from-x",
        "kubectl --cache-dir=/tmp get pods",
        "kubectl get pods --profile-output=/tmp/x",
        "kubectl -s http://127.0.0.1:1 get pods",
        "kubectl get pods -o go-template-file=/etc/passwd",
        "kubectl apply -f http://127.0.0.1:1/x.yaml",
        "kubectl proxy",
        "kubectl edit pod web",
        "kubectl krew",
        "kubectl exec -itf/etc/passwd -- ls",
        "kubectl apply -k /etc",
        "kubectl cluster-info dump --output-directory=/tmp/x",
        "kubectl config set-credentials x --exec-command=ls",
    ],
)
def test_kubectl_is_kept_to_the_node(cluster: Cluster, command: str) -> None:
    """What would read, write or reach something else than the node and its cluster is refused."""
    outcome: Outcome = cluster.node("cp").run(command)
    assert outcome.code == 1 and outcome.output.startswith("error: ") and len(outcome.output.splitlines()) == 1


def test_unknown_commands_say_so(cluster: Cluster) -> None:
    """As bash does, with its exit code."""
    outcome = cluster.node("cp").run("fooctl get x; echo $?")
    assert outcome.stderr == "bash: fooctl: command not found\n" and outcome.stdout == "127\n"


def test_a_command_that_goes_on_gets_control_c(cluster: Cluster) -> None:
    """`journalctl -f` and `sleep` end after the time that one waits at most."""
    before = cluster.loop.now
    outcome = cluster.node("cp").run("journalctl -f -u kubelet | grep -c kubelet; echo never", limit=30)
    assert "never" not in outcome.output and cluster.loop.now - before <= 31


def test_logs_are_files(cluster: Cluster) -> None:
    """A container's log lies below /var/log/pods in the CRI's format, with a link in /var/log/containers."""
    line = ran(cluster, "head -1 /var/log/containers/web_default_web-*.log", "worker1")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err) F ", line)
    assert ran(cluster, "ls -d /var/log/pods/default_web_*/web/0.log", "worker1").count("\n") == 1


def test_a_missing_client_ca_keeps_the_kubelet_from_starting() -> None:
    """The log names the file, the node's logs cannot be read meanwhile, and the right name lets it start again."""
    with Cluster() as cluster:
        cluster.settle()
        config, host = "/var/lib/kubelet/config.yaml", cluster.node("worker1")
        host.run(f"sed -i s,pki/ca.crt,pki/no.crt, {config}; systemctl restart kubelet")
        told = host.run("systemctl is-active kubelet; journalctl -u kubelet --no-pager | tail -3").stdout
        assert "unable to load client CA file /etc/kubernetes/pki/no.crt: open /etc/kubernetes/pki/no.crt" in told
        pod = next(p for p in cluster.client().list("pods", "kube-system") if p["spec"]["nodeName"] == "worker1")
        container = pod["spec"]["containers"][0]["name"]
        logs = cluster.node("cp").run(f"kubectl logs -n kube-system {pod['metadata']['name']} --tail=1").stderr
        server = "10.0.0.5:10250"
        url = f"https://{server}/containerLogs/kube-system/{pod['metadata']['name']}/{container}?tailLines=1"
        assert logs.strip() == f'Error from server: Get "{url}": dial tcp {server}: connect: connection refused'
        host.run(f"sed -i s,pki/no.crt,pki/ca.crt, {config}")
        assert host.run("sleep 15; systemctl is-active kubelet").stdout == "active\n"


def test_a_kubelet_asks_where_its_kubeconfig_says() -> None:
    """A wrong port: the service runs, its log has the refusal, the node is NotReady; the right port mends it."""
    with Cluster() as cluster:
        cluster.settle()
        config, host = "/etc/kubernetes/kubelet.conf", cluster.node("worker1")

        def ready(after: float) -> str:
            cluster.advance(after)
            return next(
                each["status"]
                for each in cluster.client().get("nodes", "worker1")["status"]["conditions"]
                if each["type"] == "Ready"
            )

        host.run(f"sed -i s/:6443/:6444/ {config}; systemctl restart kubelet")
        assert ready(60) == "Unknown"
        told = host.run("systemctl is-active kubelet; journalctl -u kubelet --no-pager | tail -3").stdout
        assert told.startswith("active\n")
        assert "dial tcp 10.0.0.4:6444: connect: connection refused" in told
        host.run(f"sed -i s/:6444/:6443/ {config}; systemctl restart kubelet")
        assert ready(20) == "True"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo {a,b}{1..2} /x/{y,z} '{n,o}'", "a1 a2 b1 b2 /x/y /x/z {n,o}\n"),
        ("printf 'a\\nb\\n' | sed '/a/a after'", "a\nafter\nb\n"),
        ("printf 'a\\nb\\n' | sed '2i\\  before'", "a\n  before\nb\n"),
        ("printf 'a\\nb\\n' | sed '$c changed'", "a\nchanged\n"),
        ("echo one > /tmp/s; sed -i.bak s/one/two/ /tmp/s; cat /tmp/s /tmp/s.bak", "two\none\n"),
        ("printf 'a\\nb\\n' > /tmp/l; printf 'a\\nc\\n' > /tmp/r; diff /tmp/l /tmp/r || true", "2c2\n< b\n---\n> c\n"),
        ("sysctl -n net.ipv4.ip_forward; which kubelet crictl", "1\n/usr/bin/kubelet\n/usr/bin/crictl\n"),
        ("ls -l /etc/kubernetes/admin.conf | tr -s ' ' | cut -d' ' -f1,6-8", "-rw------- Jan 1 00:00\n"),
        ("cat < /etc/hostname | tr a-z A-Z > /tmp/u; cat /tmp/u; echo 2>/dev/null >&2; (exit 3) || echo $?", "CP\n3\n"),
        ("nope | cat; nope2 2>&1 | cat", "bash: nope: command not found\nbash: nope2: command not found\n"),
    ],
)
def test_what_one_types(cluster: Cluster, command: str, expected: str) -> None:
    """bash, sed and the rest as on Ubuntu."""
    assert cluster.node("cp").run(command).output == expected


def test_nsenter_looks_from_inside_a_container(cluster: Cluster) -> None:
    """The node's tools with a container's network, or its files."""
    pid = ran(
        cluster, "crictl inspect -o go-template --template '{{.info.pid}}' $(crictl ps -q --name web)", "worker1"
    ).strip()
    address = cluster.client().get("pods", "web", "default")["status"]["podIP"]
    assert ran(cluster, f"nsenter -t {pid} -n hostname -I", "worker1") == f"{address}\n"
    assert ":80" in ran(cluster, f"nsenter --target {pid} --net ss -ltn", "worker1")
    assert "nginx.conf" in ran(cluster, f"nsenter -t {pid} -m ls /etc/nginx", "worker1")
    assert cluster.node("worker1").run("nsenter -t 99999 -n ip a").code == 1


def test_proc_shows_every_process(cluster: Cluster) -> None:
    """/proc has a folder for each, with its command line."""
    pid = ran(cluster, "pgrep kube-apiserver").strip()
    assert ran(cluster, f"tr '\\0' ' ' < /proc/{pid}/cmdline").startswith(
        "kube-apiserver --advertise-address=10.0.0.4 "
    )
    assert f"Pid:\t{pid}\n" in ran(cluster, f"cat /proc/{pid}/status")


def test_a_debugging_pod_sees_the_node(own: Cluster) -> None:
    """What `kubectl debug node/worker1` makes: the node's processes, and its root below /host."""
    spec = {
        "nodeName": "worker1", "hostPID": True, "hostNetwork": True,
        "containers": [{"name": "debugger", "image": "busybox", "command": ["sleep", "1000"],
                        "volumeMounts": [{"name": "root", "mountPath": "/host"}]}],
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    }  # fmt: skip
    meta = {"name": "debugger", "namespace": "default"}
    own.client().create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    own.settle()
    inside = "kubectl exec debugger --"
    assert "/usr/bin/kubelet" in ran(own, f"{inside} ps")
    assert ran(own, f"{inside} cat /host/etc/hostname") == "worker1\n"
    assert "debugger" in ran(own, f"{inside} chroot /host crictl ps")
    assert "active" in ran(own, f"{inside} chroot /host systemctl is-active kubelet")


def test_containers_can_share_their_processes(own: Cluster) -> None:
    """shareProcessNamespace: one sees the other's, and may end them; pause is number 1."""
    containers = [
        {"name": "web", "image": "nginx"},
        {"name": "helper", "image": "busybox", "command": ["sleep", "1000"]},
    ]
    spec = {"nodeName": "worker1", "shareProcessNamespace": True, "containers": containers}
    meta = {"name": "shared", "namespace": "default"}
    own.client().create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    own.settle()
    rows = ran(own, "kubectl exec shared -c helper -- ps").splitlines()
    assert re.match(r" +1 65535 +\S+ /pause$", rows[1]) and any("nginx: master" in row for row in rows)
    pid = next(row.split()[0] for row in rows if "nginx: master" in row)
    ran(own, f"kubectl exec shared -c helper -- kill -9 {pid}")
    own.settle()
    statuses = own.client().get("pods", "shared", "default")["status"]["containerStatuses"]
    assert {s["name"]: s["restartCount"] for s in statuses} == {"web": 1, "helper": 0}


def test_names_in_etc_hosts(own: Cluster) -> None:
    """A node knows the others by name, and whatever is added to the file."""
    assert ran(own, "curl -sk https://cp:6443/healthz", "worker1") == "ok"
    assert own.node("worker1").run("curl -sk https://plane:6443/healthz").code == 6
    ran(own, "echo 10.0.0.4 plane >> /etc/hosts", "worker1")
    assert ran(own, "curl -sk https://plane:6443/healthz", "worker1") == "ok"


def test_who_may_ask_a_kubelet(own: Cluster) -> None:
    """Who shows a certificate or a token that the apiserver lets through; others are told what they may not."""
    pki, url = "/etc/kubernetes/pki", "https://localhost:10250"
    known = f"--cert {pki}/apiserver-kubelet-client.crt --key {pki}/apiserver-kubelet-client.key"
    assert ran(own, f"curl -sk {known} {url}/healthz") == "ok"
    assert '"kind":"PodList"' in ran(own, f"curl -sk {known} {url}/pods")
    who = "user=system:serviceaccount:default:default, verb=get, resource=nodes"
    ask = f'curl -sk -H "Authorization: Bearer $(kubectl create token default)" {url}'
    assert ran(own, f"{ask}/pods") == f"Forbidden ({who}, subresource(s)=[pods proxy])"
    assert ran(own, f"{ask}/stats/summary") == f"Forbidden ({who}, subresource(s)=[stats])"
    ran(own, "kubectl create clusterrole looks --verb=get --resource=nodes/pods")
    ran(own, "kubectl create clusterrolebinding looks --clusterrole=looks --serviceaccount=default:default")
    assert '"kind":"PodList"' in ran(own, f"{ask}/pods")
    assert ran(own, f"curl -sk -H 'Authorization: Bearer no' {url}/pods") == "Unauthorized"


def test_the_kubelets_ports(own: Cluster) -> None:
    """Its health on 10248; 10250 answers nobody unknown; both are gone with it."""
    assert ran(own, "curl -s http://localhost:10248/healthz") == "ok"
    assert ran(own, "curl -sk https://localhost:10250/pods") == "Unauthorized"
    assert 'users:(("kubelet",' in ran(own, "ss -ltnp | grep 10250")
    ran(own, "systemctl stop kubelet")
    assert own.node("cp").run("curl -s http://localhost:10248/healthz").code == 7
    ran(own, "systemctl start kubelet; curl -s http://localhost:10248/healthz")
