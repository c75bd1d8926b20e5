"""kube-scheduler's configuration file: its profiles, what is wrong with one, and the static Pod that reads it."""

import re

import pytest

from k8s_core.cluster import Cluster
from k8s_core.scheduler import configuration

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
PACKED = f"""{HEAD}
percentageOfNodesToScore: 40
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  percentageOfNodesToScore: 70
  pluginConfig:
  - name: NodeResourcesFit
    args: {{scoringStrategy: {{type: MostAllocated}}}}
"""


def test_profiles_inherit_what_stands_above_them() -> None:
    """Each has its scheduler's name; the percentage is its own or the file's."""
    profiles = configuration.read(PACKED)
    assert [(p["schedulerName"], p["percentageOfNodesToScore"]) for p in profiles] == [
        ("default-scheduler", 40),
        ("packer", 70),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "yaml: "),
        ("profiles: []", "couldn't get version/kind"),
        ("apiVersion: v1\nkind: Pod", 'no kind "Pod" is registered for version "v1" in scheme'),
        (f"{HEAD}percentageOfNodesToScore: 101", "percentageOfNodesToScore: Invalid value: 101: not in valid range"),
        (f"{HEAD}profiles: [{{}}, {{schedulerName: x}}]", "profiles[0].schedulerName: Required value"),
        (f"{HEAD}profiles: [{{schedulerName: x}}, {{schedulerName: x}}]", 'schedulerName: Duplicate value: "x"'),
        (f"{HEAD}profiles: [{{plugins: {{score: {{enabled: [{{name: Cosy}}]}}}}}}]", "score: Cosy does not exist"),
        (f"{HEAD}profiles: [{{plugins: {{scoer: {{}}}}}}]", 'unknown field "profiles[0].plugins.scoer"'),
    ],
)
def test_a_wrong_file_is_refused_in_the_real_words(text: str, words: str) -> None:
    """One line says what is wrong."""
    with pytest.raises(ValueError, match=re.escape(words)):
        configuration.read(text)


def test_the_static_pod_reads_its_file() -> None:
    """A manifest with --config makes a second scheduler profile; a Pod chooses it by schedulerName and is packed."""
    with Cluster() as cluster:
        cluster.settle()
        cp, client = cluster.node("cp"), cluster.client()
        manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml"
        cp.run(f"cat > /etc/kubernetes/packer.yaml <<'END'\n{PACKED}END")
        flag = "- --leader-elect=true"
        mounts = "    - mountPath: /etc/kubernetes/packer.yaml\n      name: packer\n      readOnly: true\n"
        volume = "  - hostPath:\n      path: /etc/kubernetes/packer.yaml\n      type: File\n    name: packer\n"
        path = cp.root / manifest[1:]
        text = path.read_text()
        text = text.replace(flag, f"{flag}\n    - --config=/etc/kubernetes/packer.yaml")
        text = text.replace("    volumeMounts:\n", f"    volumeMounts:\n{mounts}")
        path.write_text(text.replace("  volumes:\n", f"  volumes:\n{volume}"))
        cluster.settle()
        cluster.advance(30)
        assert set(cluster.scheduler.frameworks) == {"default-scheduler", "packer"}
        heavy = {"containers": [{"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "300m"}}}]}
        for name, spec in (
            ("first", {**heavy, "nodeSelector": {"kubernetes.io/hostname": "worker2"}}),
            ("packed", {**heavy, "schedulerName": "packer"}),
            ("spread", heavy),
        ):
            client.create(
                "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, "default"
            )
            cluster.settle()
        nodes = {p["metadata"]["name"]: p["spec"]["nodeName"] for p in client.list("pods", "default")}
        assert nodes == {"first": "worker2", "packed": "worker2", "spread": "worker1"}
