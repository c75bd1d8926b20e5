"""kube-scheduler's configuration file: its profiles, what is wrong with one, and the static Pod that reads it."""

import re

import pytest
import yaml

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


WRONG = [
    ("a: [", "yaml: while parsing a flow node"),
    ("profiles: []", "couldn't get version/kind; json parse error: unexpected end of JSON input"),
    (
        "apiVersion: v1\nkind: Pod",
        'no kind "Pod" is registered for version "v1" in scheme "pkg/scheduler/apis/config/scheme/scheme.go:33"',
    ),
    ("percentageOfNodesToScore: 101", "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
    ("profiles: [{}, {schedulerName: x}]", "profiles[0].schedulerName: Required value"),
    ("profiles: [{schedulerName: x}, {schedulerName: x}]", 'profiles[1].schedulerName: Duplicate value: "x"'),
    (
        "profiles: [{plugins: {score: {enabled: [{name: Cosy}]}}}]",
        "initializing profiles: creating profile for scheduler name default-scheduler: score: Cosy does not exist",
    ),
    (
        "parallel: 3\nprofiles: [{plugins: {scoer: {}}}]",
        'strict decoding error: unknown field "parallel", unknown field "profiles[0].plugins.scoer"',
    ),
    ("parallelism: 0", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
    (
        "leaderElection: {resourceLock: endpoints}",
        'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases"',
    ),
    (
        "podInitialBackoffSeconds: 20\nparallelism: -1",
        "[parallelism: Invalid value: -1: should be an integer value greater than zero, podMaxBackoffSeconds: Invalid "
        "value: 10: must be greater than or equal to PodInitialBackoffSeconds]",
    ),
    (
        "extenders: [{urlPrefix: x, prioritizeVerb: p, bindVerb: b}, {bindVerb: b}]",
        "[extenders[0].weight: Invalid value: 0: must have a positive weight applied to it, extenders: Invalid value: "
        '"found 2 extenders implementing bind": only one extender can implement bind]',
    ),
]
ARGS = [
    (
        "DefaultPreemption: {kind: InterPodAffinityArgs}",
        "decoding .profiles[0].pluginConfig[0]: args for plugin DefaultPreemption were not of type "
        "DefaultPreemptionArgs.kubescheduler.config.k8s.io, got InterPodAffinityArgs.kubescheduler.config.k8s.io",
    ),
    (
        "NodeResourcesFit: {scoringStrategy: {requestedToCapacityRatio: {shape: [{Score: 2, Utilization: 1}]}}}",
        "strict decoding error: decoding .profiles[0].pluginConfig[0]: strict decoding error: decoding args for plugin "
        'NodeResourcesFit: strict decoding error: unknown field "scoringStrategy.requestedToCapacityRatio.shape[0]'
        '.Score", unknown field "scoringStrategy.requestedToCapacityRatio.shape[0].Utilization"',
    ),
    (
        "DefaultPreemption: {minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}",
        "[profiles[0].pluginConfig[0].args.minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same "
        "time as minCandidateNodesAbsolute, profiles[0].pluginConfig[0].args.minCandidateNodesAbsolute: Invalid value: "
        "0: cannot be zero at the same time as minCandidateNodesPercentage]",
    ),
    (
        "DefaultPreemption: {minCandidateNodesPercentage: 101, minCandidateNodesAbsolute: -1}",
        "[profiles[0].pluginConfig[0].args.minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, "
        "100], profiles[0].pluginConfig[0].args.minCandidateNodesAbsolute: Invalid value: -1: not in valid range [0, "
        "inf)]",
    ),
    (
        "InterPodAffinity: {hardPodAffinityWeight: 200}",
        "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 200: not in valid range [0, 100]",
    ),
    (
        "NodeAffinity: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
        "[{matchExpressions: [{key: a, operator: Like, values: [b]}]}]}}}",
        "profiles[0].pluginConfig[0].args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        '.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
    ),
    (
        "NodeResourcesBalancedAllocation: {resources: [{name: cpu}, {name: cpu, weight: 2}]}",
        '[profiles[0].pluginConfig[0].args.resources[1].name: Duplicate value: "cpu", '
        "profiles[0].pluginConfig[0].args.resources[1].weight: Invalid value: 2: must be 1]",
    ),
    (
        "PodTopologySpread: {defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
        'profiles[0].pluginConfig[0].args.defaultingType: Invalid value: "System": when .defaultConstraints are not '
        "empty",
    ),
    (
        "PodTopologySpread: {defaultingType: List, defaultConstraints: [{whenUnsatisfiable: Never, labelSelector: "
        "{}}]}",
        "[profiles[0].pluginConfig[0].args.defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, "
        "inf), profiles[0].pluginConfig[0].args.defaultConstraints[0].topologyKey: Required value: can not be empty, "
        'profiles[0].pluginConfig[0].args.defaultConstraints[0].whenUnsatisfiable: Unsupported value: "Never": '
        'supported values: "DoNotSchedule", "ScheduleAnyway", profiles[0].pluginConfig[0].args.defaultConstraints[0]'
        ".labelSelector: Forbidden: constraint must not define a selector, as they deduced for each pod]",
    ),
    (
        "VolumeBinding: {bindTimeoutSeconds: -1}",
        "profiles[0].pluginConfig[0].args.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should "
        "not be a negative value",
    ),
    (
        "NodeResourcesFit: {scoringStrategy: {type: Fullest, resources: [{name: cpu, weight: 101}]}}",
        "initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "
        '"NodeResourcesFit": [scoringStrategy.type: Unsupported value: "Fullest": supported values: "LeastAllocated", '
        '"MostAllocated", "RequestedToCapacityRatio", scoringStrategy.resources[0].weight: Invalid value: 101: '
        "resource weight of cpu not in valid range (0, 100]]",
    ),
    (
        "NodeResourcesFit: {scoringStrategy: {type: RequestedToCapacityRatio}}",
        "initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "
        '"NodeResourcesFit": scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is '
        "RequestedToCapacityRatio",
    ),
    (
        "NodeResourcesFit: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: "
        "[{utilization: 50, score: 11}, {utilization: 50, score: 0}]}}}",
        "initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "
        '"NodeResourcesFit": [scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 50: values '
        "must be sorted in increasing order, scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: "
        "11: not in valid range [0, 10]]",
    ),
    (
        "NodeResourcesFit: {ignoredResourceGroups: [example.com/a]}",
        "initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "
        '"NodeResourcesFit": ignoredResourceGroups[0]: Invalid value: "example.com/a": resource group name can\'t '
        "contain '/'",
    ),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_wrong_file_is_refused_in_the_real_words(text: str, words: str) -> None:
    """All that is wrong is said."""
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        configuration.read(text if "kind" in text or text in ("a: [", "profiles: []") else HEAD + text)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(("args", "words"), ARGS)
def test_wrong_arguments_of_a_plugin_are_refused(args: str, words: str) -> None:
    """By the decoder, by the validation, or by the plugin that begins."""
    ((name, given),) = yaml.safe_load(args).items()
    told = {"profiles": [{"pluginConfig": [{"name": name, "args": given}]}]}
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        configuration.read(HEAD + yaml.safe_dump(told))
    assert str(refused.value) == words


def test_backoff_is_configured() -> None:
    """How long Pods wait after a failed attempt."""
    (profile,) = configuration.read(f"{HEAD}podInitialBackoffSeconds: 3\npodMaxBackoffSeconds: 5")
    assert (profile["podInitialBackoffSeconds"], profile["podMaxBackoffSeconds"]) == (3, 5)


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
