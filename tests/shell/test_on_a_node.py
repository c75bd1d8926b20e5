"""What one types on a node, and what a kubeadm node with Ubuntu prints. One cluster for all: each line leaves the node
as it was."""

from collections.abc import Iterator

import pytest

from k8s_core.cluster import Cluster

SESSION: list[tuple[str, str]] = [
    # bash
    ("diff <(echo a) <(echo b)", "1c1\n< a\n---\n> b\n"),
    ("base64 -d <<< aGkK; read -r a b <<< '1 2'; echo $b", "hi\n2\n"),
    ("for ((i=3; i>0; i-=2)); do [ $i -eq 3 ] && continue; echo n$i; done", "n1\n"),
    ("s=hello.tar; echo ${s%.tar} ${s//l/L} ${s:1:3} ${s^^} ${s^}; t=ABC; echo ${t,,}", "hello heLLo.tar ell HELLO.TAR Hello.tar\nabc\n"),
    ("alias k=kubectl; k get ns default -o name", "namespace/default\n"),
    ("time sleep 2", "\nreal\t0m2.000s\nuser\t0m0.001s\nsys\t0m0.001s\n"),
    (". /etc/nope", "bash: /etc/nope: No such file or directory\n"),
    ("echo one\ndone\necho two", "one\nbash: syntax error near unexpected token `done'\ntwo\n"),
    ("cat <<EOF | tr a-z A-Z\n$(hostname)\nEOF\necho done", "CP\ndone\n"),
    # files, in GNU's words
    ("ls -l /etc/hostname | tr -s '[:digit:]' N", "-rw-r--r-- N root root N Jan  N N:N /etc/hostname\n"),
    ("ls -l /run/containerd/containerd.sock | cut -c1", "s\n"),
    ("ls -ld /etc/kubernetes /etc/kubernetes/pki | awk '{print $2}'", "4\n3\n"),
    ("stat -c '%a %U:%G %h %n' /etc/kubernetes/admin.conf", "600 root:root 1 /etc/kubernetes/admin.conf\n"),
    ("stat /etc/hosts | sed -n -e 4p -e '6s/: 2026.*/: TIME/p'", "Access: (0644/-rw-r--r--)  Uid: (    0/    root)   Gid: (    0/    root)\nModify: TIME\n"),
    ("cp /x /y; mv /x /y; rm /x; rmdir /etc", "cp: cannot stat '/x': No such file or directory\nmv: cannot stat '/x': No such file or directory\nrm: cannot remove '/x': No such file or directory\nrmdir: failed to remove '/etc': Directory not empty\n"),
    ("mkdir /tmp; rm /etc; cp /etc /tmp/e", "mkdir: cannot create directory \u2018/tmp\u2019: File exists\nrm: cannot remove '/etc': Is a directory\ncp: -r not specified; omitting directory '/etc'\n"),
    ("du -sh /etc/kubernetes/manifests/*; du -h --max-depth=1 /etc/cni", "4.0K\t/etc/kubernetes/manifests/etcd.yaml\n4.0K\t/etc/kubernetes/manifests/kube-apiserver.yaml\n4.0K\t/etc/kubernetes/manifests/kube-controller-manager.yaml\n4.0K\t/etc/kubernetes/manifests/kube-scheduler.yaml\n8.0K\t/etc/cni/net.d\n12K\t/etc/cni\n"),
    ("df -h /var/lib/etcd", "Filesystem      Size  Used Avail Use% Mounted on\n/dev/vda1        20G  3.9G   16G  21% /\n"),
    # find
    ("find /etc/kubernetes -maxdepth 1 -type f -exec basename {} \\;", "admin.conf\ncontroller-manager.conf\nkubelet.conf\nscheduler.conf\nsuper-admin.conf\n"),
    ("find /etc/kubernetes/pki -path '*/etcd' -prune -o -name 'ca.*' -print", "/etc/kubernetes/pki/ca.crt\n/etc/kubernetes/pki/ca.key\n"),
    ("find /etc/kubernetes \\( -name '*.key' -o -name '*.conf' \\) -not -path '*etcd*' -perm 600 | wc -l", "11\n"),
    ("find /etc/kubernetes/manifests -type f -exec grep -l etcd-servers {} +", "/etc/kubernetes/manifests/kube-apiserver.yaml\n"),
    ("touch /tmp/a; find /tmp -mmin -1 -name a -delete; find /tmp -type f -name a; find /etc -size +9M; find /nope; find /etc -frob", "find: '/nope': No such file or directory\nfind: unknown predicate `-frob'\n"),
    # ps
    ("ps -p 1 -o comm=; ps -C kubelet -o pid= | wc -l; ps -o frob 2>&1 | head -1", "init\n1\nerror: unknown user-defined format specifier 'frob'\n"),
    ("ps -eo user,pid --sort=-pid --no-headers | tail -1; ps | sed -n 1p", "root           1\n    PID TTY          TIME CMD\n"),
    ("ps aux --sort=-%mem | head -2 | cut -c1-21; ps ax | head -2 | cut -c1-40", "USER         PID %CPU\nroot         657  0.0\n    PID TTY      STAT   TIME COMMAND\n      1 ?        Ss     0:00 /sbin/init\n"),
    ("ps -p 99999; echo $?", "    PID TTY          TIME CMD\n1\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.serve()
        made.settle()
        yield made


@pytest.mark.parametrize(("line", "expected"), SESSION, ids=[line[:40] for line, _ in SESSION])
def test_a_node_answers_as_ubuntu_does(cluster: Cluster, line: str, expected: str) -> None:
    """Each line prints this, standard output and errors together."""
    assert cluster.node("cp").run(line).output == expected
