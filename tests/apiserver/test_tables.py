"""Tables say what a real server's do; the expected cells are those of a real v1.36 cluster or of upstream's tests."""

from typing import Any

import pytest
from table_cells import CREATED, NOW, RESOURCES, cells

from k8s_core.api import resources, schema
from k8s_core.api.custom import Custom
from k8s_core.apiserver import tables
from k8s_core.apiserver.tables.cells import human_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "<invalid>"), (-1, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (241, "4m1s"), (599, "9m59s"),
        (600, "10m"), (10799, "179m"), (10800, "3h"), (11000, "3h3m"), (28800, "8h"), (172799, "47h"), (172800, "2d"),
        (176400, "2d1h"), (691200, "8d"), (63071999, "729d"), (63072000, "2y"), (63158400, "2y1d"), (252288000, "8y"),
    ],
)  # fmt: skip
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    """Two units at most, and none too many, as apimachinery's HumanDuration."""
    assert human_duration(seconds) == text


def test_a_table_on_the_wire() -> None:
    """Columns with name, type, format, description and priority; rows with cells and metadata."""
    resource = RESOURCES.find("namespaces")
    assert resource is not None
    obj = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "dev", "creationTimestamp": CREATED},
        "status": {"phase": "Active"},
    }
    table = tables.render(resource, [obj], now=NOW, list_meta={"resourceVersion": "7"})
    assert {k: table[k] for k in ("kind", "apiVersion", "metadata")} == {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7"},
    }
    assert table["columnDefinitions"][0]["description"].startswith("Name must be unique within a namespace.")
    assert [(c["name"], c["type"], c["format"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", "name", 0),
        ("Status", "string", "", 0),
        ("Age", "string", "", 0),
    ]
    metadata = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    assert table["rows"] == [{"cells": ["dev", "Active", "4m1s"], "object": metadata}]
    assert tables.render(resource, [obj], now=NOW, include="Object")["rows"][0]["object"] == obj
    assert tables.render(resource, [obj], now=NOW, include="None")["rows"][0]["object"] is None


def test_kinds_without_columns_show_when_they_were_made() -> None:
    """The default table: Name and Created At, which is no age."""
    assert cells("clusterroles.rbac.authorization.k8s.io", "") == ["x", CREATED]
    assert cells("customresourcedefinitions.apiextensions.k8s.io", "") == ["x", CREATED]


def test_custom_resources_show_their_age() -> None:
    """What a custom resource's definition does not say is its name and its age."""
    meta = schema.load().type("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    kind = Custom("x.io/v1", "Widget", "WidgetList", {"name": "v1"}, meta)
    custom = resources.Resource("x.io", "v1", "widgets", "Widget", "widget", True, ("list",), custom=kind)
    row = tables.render(custom, [{"metadata": {"name": "x", "creationTimestamp": CREATED}}], now=NOW)["rows"][0]
    assert row["cells"] == ["x", "4m1s"]
    assert [(c["name"], c["type"]) for c in tables.columns_for(custom)] == [("Name", "string"), ("Age", "date")]


@pytest.mark.parametrize("resource", [r for r in RESOURCES if "list" in r.verbs], ids=lambda r: r.group_resource)
def test_every_resource_prints_even_an_empty_object(resource: resources.Resource) -> None:
    """Whatever is missing, there is a cell for each column."""
    row = tables.cells(resource, {"metadata": {"name": "x"}}, NOW)
    assert len(row) == len(tables.columns_for(resource))


# --- resource, object, cells after the name

ROWS: list[tuple[str, str, list[Any]]] = [
    ("nodes", "", ["Unknown", "<none>", "4m1s", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]),
    (
        "nodes",
        """
        metadata: {labels: {node-role.kubernetes.io/control-plane: "", kubernetes.io/role: master}}
        spec: {unschedulable: true}
        status:
          conditions: [{type: Ready, status: "True"}]
          addresses: [{type: Hostname, address: cp}, {type: InternalIP, address: 10.0.0.4}]
          nodeInfo: {kubeletVersion: v1.36.2, osImage: Debian, kernelVersion: "6.1", containerRuntimeVersion: cri://1}""",
        [
            "Ready,SchedulingDisabled",
            "control-plane,master",
            "4m1s",
            "v1.36.2",
            "10.0.0.4",
            "<none>",
            "Debian",
            "6.1",
            "cri://1",
        ],
    ),
    (
        "nodes",
        "status: {conditions: [{type: Ready, status: Unknown}]}",
        ["NotReady", "<none>", "4m1s", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
    ),
    (
        "services",
        "spec: {type: NodePort, clusterIP: 10.107.123.130, ports: [{port: 80, nodePort: 30007, protocol: TCP}]}",
        ["NodePort", "10.107.123.130", "<none>", "80:30007/TCP", "4m1s", "<none>"],
    ),
    (
        "services",
        "spec: {type: LoadBalancer, clusterIP: 10.96.1.1, ports: [{port: 80, nodePort: 30221, protocol: TCP}]}",
        ["LoadBalancer", "10.96.1.1", "<pending>", "80:30221/TCP", "4m1s", "<none>"],
    ),
    (
        "services",
        "{spec: {type: LoadBalancer, clusterIP: a, externalIPs: [9.9.9.9]}, "
        "status: {loadBalancer: {ingress: [{ip: 2.2.2.2}, {ip: 1.1.1.1}, {hostname: lb}]}}}",
        ["LoadBalancer", "a", "1.1.1.1,2.2.2.2,lb,9.9.9.9", "<none>", "4m1s", "<none>"],
    ),
    (
        "services",
        "spec: {type: ExternalName, externalName: db.example.com}",
        ["ExternalName", "<none>", "db.example.com", "<none>", "4m1s", "<none>"],
    ),
    (
        "services",
        "spec: {type: ClusterIP, clusterIP: None, selector: {b: x, a: y}, "
        "ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}",
        ["ClusterIP", "None", "<none>", "53/UDP,53/TCP", "4m1s", "a=y,b=x"],
    ),
    ("endpoints", "", ["<none>", "4m1s"]),
    (
        "endpoints",
        "subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 80}, {port: 443}]}]",
        ["10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more...", "4m1s"],
    ),
    ("endpoints", "subsets: [{addresses: [{ip: 10.0.0.1}]}]", ["10.0.0.1", "4m1s"]),
    ("endpointslices.discovery.k8s.io", "addressType: IPv4", ["IPv4", "<unset>", "<unset>", "4m1s"]),
    (
        "endpointslices.discovery.k8s.io",
        "{addressType: IPv4, ports: [{port: 80}, {name: any}, {}], "
        "endpoints: [{addresses: [a, b]}, {addresses: [c, d]}]}",
        ["IPv4", "80,any,*", "a,b,c + 1 more...", "4m1s"],
    ),
    (
        "deployments.apps",
        """
        spec:
          replicas: 3
          selector: {matchLabels: {app: web}}
          template: {spec: {containers: [{name: a, image: nginx}, {name: b, image: redis}]}}
        status: {readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2}""",
        ["2/3", 3, 2, "4m1s", "a,b", "nginx,redis", "app=web"],
    ),
    (
        "replicasets.apps",
        "{spec: {replicas: 3, selector: {matchExpressions: [{key: t, operator: In, values: [b, a]}]}}, "
        "status: {replicas: 2}}",
        [3, 2, 0, "4m1s", "", "", "t in (a,b)"],
    ),
    ("statefulsets.apps", "{spec: {replicas: 2}, status: {readyReplicas: 1}}", ["1/2", "4m1s", "", ""]),
    (
        "daemonsets.apps",
        "status: {desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2, updatedNumberScheduled: 1}",
        [3, 3, 2, 1, 0, "<none>", "4m1s", "", "", "<none>"],
    ),
    (
        "controllerrevisions.apps",
        "{revision: 2, metadata: {ownerReferences: "
        "[{apiVersion: apps/v1, kind: StatefulSet, name: web, controller: true}]}}",
        ["statefulset.apps/web", 2, "4m1s"],
    ),
    (
        "jobs.batch",
        "{spec: {completions: 3}, status: {succeeded: 3, startTime: '2026-01-01T00:56:00Z', "
        "completionTime: '2026-01-01T00:57:05Z', conditions: [{type: Complete, status: 'True'}]}}",
        ["Complete", "3/3", "65s", "4m1s", "", "", "<none>"],
    ),
    (
        "jobs.batch",
        "{spec: {parallelism: 2}, status: {startTime: '2026-01-01T00:59:30Z'}}",
        ["Running", "0/1 of 2", "30s", "4m1s", "", "", "<none>"],
    ),
    (
        "jobs.batch",
        "{spec: {suspend: true}, status: {conditions: [{type: Suspended, status: 'True'}]}}",
        ["Suspended", "0/1", "", "4m1s", "", "", "<none>"],
    ),
    (
        "cronjobs.batch",
        "{spec: {schedule: '* * * * *', suspend: false}, "
        "status: {active: [{}], lastScheduleTime: '2026-01-01T00:59:00Z'}}",
        ["* * * * *", "<none>", "False", 1, "60s", "4m1s", "", "", "<none>"],
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        """
        spec:
          scaleTargetRef: {kind: Deployment, name: web}
          minReplicas: 2
          maxReplicas: 5
          metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
        status: {currentReplicas: 2}""",
        ["Deployment/web", "cpu: <unknown>/80%", 2, 5, 2, "4m1s"],
    ),
    ("poddisruptionbudgets.policy", "spec: {minAvailable: 50%}", ["50%", "N/A", 0, "4m1s"]),
    ("configmaps", "{data: {a: b}, binaryData: {c: d}}", [2, "4m1s"]),
    ("secrets", "{type: Opaque, data: {a: b}}", ["Opaque", 1, "4m1s"]),
    (
        "persistentvolumes",
        "{spec: {capacity: {storage: 1Gi}, accessModes: [ReadOnlyMany, ReadWriteOnce], storageClassName: fast, "
        "persistentVolumeReclaimPolicy: Retain, claimRef: {namespace: default, name: c}, volumeMode: Filesystem}, "
        "status: {phase: Bound}}",
        ["1Gi", "RWO,ROX", "Retain", "Bound", "default/c", "fast", "<unset>", "", "4m1s", "Filesystem"],
    ),
    (
        "persistentvolumeclaims",
        "{spec: {storageClassName: fast, volumeMode: Filesystem}, status: {phase: Pending}}",
        ["Pending", "", "", "", "fast", "<unset>", "4m1s", "Filesystem"],
    ),
    (
        "persistentvolumeclaims",
        "{metadata: {deletionTimestamp: x}, spec: {volumeName: v}, "
        "status: {phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOncePod]}}",
        ["Terminating", "v", "1Gi", "RWOP", "", "<unset>", "4m1s", "<unset>"],
    ),
    (
        "resourcequotas",
        "status: {hard: {pods: '4', limits.cpu: '2', cpu: '1'}, used: {pods: '1', limits.cpu: '0'}}",
        ["cpu: 0/1, pods: 1/4", "limits.cpu: 0/2", "4m1s"],
    ),
    (
        "ingresses.networking.k8s.io",
        "{spec: {rules: [{host: a}, {host: b}, {host: c}, {host: d}], tls: [{}]}, "
        "status: {loadBalancer: {ingress: [{ip: 1.1.1.1}]}}}",
        ["<none>", "a,b,c + 1 more...", "1.1.1.1", "80, 443", "4m1s"],
    ),
    ("ingresses.networking.k8s.io", "spec: {ingressClassName: n, rules: [{}]}", ["n", "*", "", "80", "4m1s"]),
    ("networkpolicies.networking.k8s.io", "spec: {podSelector: {}}", ["<none>", "4m1s"]),
    (
        "ipaddresses.networking.k8s.io",
        "spec: {parentRef: {resource: services, namespace: default, name: kubernetes}}",
        ["services/default/kubernetes"],
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        "{roleRef: {kind: ClusterRole, name: admin}, subjects: [{kind: User, name: u}, {kind: Group, name: g}, "
        "{kind: Group, name: h}, {kind: ServiceAccount, namespace: n, name: s}]}",
        ["ClusterRole/admin", "4m1s", "u", "g, h", "n/s"],
    ),
    (
        "certificatesigningrequests.certificates.k8s.io",
        "{spec: {signerName: kubernetes.io/kubelet-serving, username: me, expirationSeconds: 3600}, "
        "status: {certificate: abc, conditions: [{type: Approved, status: 'True'}]}}",
        ["4m1s", "kubernetes.io/kubelet-serving", "me", "60m", "Approved,Issued"],
    ),
    ("leases.coordination.k8s.io", "spec: {holderIdentity: cp}", ["cp", "4m1s"]),
    (
        "priorityclasses.scheduling.k8s.io",
        "{value: 2000001000, preemptionPolicy: PreemptLowerPriority}",
        [2000001000, False, "4m1s", "PreemptLowerPriority"],
    ),
    (
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "{spec: {priorityLevelConfiguration: {name: exempt}, matchingPrecedence: 1}, "
        "status: {conditions: [{type: Dangling, status: 'False'}]}}",
        ["exempt", 1, "<none>", "4m1s", "False"],
    ),
    (
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "spec: {type: Exempt, exempt: {nominalConcurrencyShares: 0}}",
        ["Exempt", "<none>", "<none>", "<none>", "<none>", "4m1s"],
    ),
    (
        "apiservices.apiregistration.k8s.io",
        "status: {conditions: [{type: Available, status: 'True'}]}",
        ["Local", "True", "4m1s"],
    ),
    (
        "apiservices.apiregistration.k8s.io",
        "{spec: {service: {namespace: n, name: s}}, "
        "status: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints}]}}",
        ["n/s", "False (MissingEndpoints)", "4m1s"],
    ),
]


@pytest.mark.parametrize(("resource", "text", "expected"), ROWS, ids=[f"{i}-{row[0]}" for i, row in enumerate(ROWS)])
def test_rows(resource: str, text: str, expected: list[Any]) -> None:
    """The cells after the name."""
    assert cells(resource, text)[1:] == expected


def test_the_default_storage_class_is_marked() -> None:
    """Its name says so."""
    text = "{metadata: {annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: p}"
    assert cells("storageclasses.storage.k8s.io", text) == ["x (default)", "p", "Delete", "Immediate", False, "4m1s"]


def test_events_of_both_kinds() -> None:
    """Old events count with first and last times, new ones have a series; both print alike."""
    old = """
        type: Warning
        reason: BackOff
        message: "Back-off restarting "
        involvedObject: {kind: Pod, name: web, fieldPath: "spec.containers{web}"}
        source: {component: kubelet, host: worker1}
        firstTimestamp: "2026-01-01T00:50:00Z"
        lastTimestamp: "2026-01-01T00:59:50Z"
        count: 7"""
    assert cells("events", old.replace(" Z", "Z")) == [
        "10s", "Warning", "BackOff", "pod/web", "spec.containers{web}", "kubelet, worker1", "Back-off restarting",
        "10m", 7, "x",
    ]  # fmt: skip
    new = """
        type: Normal
        reason: Scheduled
        note: Successfully assigned default/web to worker1
        regarding: {kind: Pod, name: web}
        reportingController: default-scheduler
        reportingInstance: default-scheduler-cp
        eventTime: "2026-01-01T00:59:00.123456Z" """
    assert cells("events.events.k8s.io", new) == [
        "59s", "Normal", "Scheduled", "pod/web", "", "default-scheduler, default-scheduler-cp",
        "Successfully assigned default/web to worker1", "59s", 1, "x",
    ]  # fmt: skip
