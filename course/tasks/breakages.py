"""What is broken in the clusters of chapter 19: the objects that its tasks begin with, and faults of the cluster."""

from course.tasks import Values
from course.tasks.objects import Object, config, deployment, many, namespace, of, service, within

SHARE = {"requests.cpu": "500m", "requests.memory": "1Gi"}
ONCE = "wget -T 2 -qO- http://$TARGET > /dev/null && echo got it || echo no answer"
_ASK = f"while true; do {ONCE}; sleep 20; done"

# --- what may be broken in the cluster itself -----------------------------------------------------------------------
_DNS = "kubectl -n kube-system"
_COREFILE = (
    f"{_DNS} get configmap coredns -o yaml | sed 's/kubernetes {{0}} /kubernetes {{1}} /' | {_DNS} replace -f -; "
    f"{_DNS} delete pods -l k8s-app=kube-dns"
)
DNS_FAULTS = (
    f"{_DNS} scale deployment coredns --replicas=0",
    f"{_DNS} set selector service kube-dns k8s-app=coredns",
    _COREFILE.format("cluster.local", "cluster.locale"),
)
DNS_MENDED = (
    f"{_DNS} scale deployment coredns --replicas=2; {_DNS} set selector service kube-dns k8s-app=kube-dns; "
    + _COREFILE.format("cluster.locale", "cluster.local")
)
NODE_FAULTS = (
    "systemctl disable --now containerd",
    "systemctl disable --now kubelet",
    "sed -i 's#pki/ca.crt#pki/ca.cert#' /var/lib/kubelet/config.yaml; systemctl restart kubelet",
    "sed -i 's/:6443/:6444/' /etc/kubernetes/kubelet.conf; systemctl restart kubelet",
)
NODE_MENDED = (
    "sed -i 's#pki/ca.cert#pki/ca.crt#' /var/lib/kubelet/config.yaml; "
    "sed -i 's/:6444/:6443/' /etc/kubernetes/kubelet.conf; "
    "systemctl enable --now containerd; systemctl enable kubelet; systemctl restart kubelet"
)
MANIFESTS = "/etc/kubernetes/manifests"
PLANE_FAULTS = {
    "kube-scheduler": ("- kube-scheduler$", "- kube-schedular"),
    "kube-controller-manager": ("--kubeconfig=.*", "--kubeconfig=/etc/kubernetes/controller-manager.config"),
}
PLANE_MENDED = (
    f"sed -i 's/- kube-schedular$/- kube-scheduler/' {MANIFESTS}/kube-scheduler.yaml; "
    f"sed -i 's/manager.config/manager.conf/' {MANIFESTS}/kube-controller-manager.yaml"
)


# --- beginnings -----------------------------------------------------------------------------------------------------


def asker(target: str, name: str = "asker", **labels: str) -> Object:
    command, env = ["sh", "-c", _ASK], [{"name": "TARGET", "value": target}]
    made = deployment(name, 1, "busybox", command=command, env=env)
    made["spec"]["template"]["metadata"]["labels"].update(labels)
    return made


def begin(space: str, *objects: Object) -> str:
    return many(namespace(space), *within(space, *objects))


def key(v: Values) -> str:
    reference = {"configMapKeyRef": {"name": "settings", "key": "color"}}
    program = deployment(
        v.app,
        1,
        "busybox",
        command=["sh", "-c", "echo painting in $COLOUR; exec sleep 86400"],
        env=[{"name": "COLOUR", "valueFrom": reference}],
    )
    return begin(v.key, config("settings", {"colour": v.shade}), program)


def memory(v: Values) -> str:
    size = {"memory": "64Mi"}
    program = deployment(v.app, 1, resources={"requests": size, "limits": size})
    behaviour = f"memory={v.need}Mi, log=I hold {v.need}Mi"
    program["spec"]["template"]["metadata"]["annotations"] = {"simulator/behaviour": behaviour}
    return begin(v.memory, program)


def spread(v: Values) -> str:
    apart = {"labelSelector": {"matchLabels": {"app": v.app}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return begin(v.spread, deployment(v.app, 3, pod_spec={"affinity": affinity}))


def deaf(v: Values) -> str:
    probe = {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 5}
    return begin(v.deaf, deployment(v.db, 2, readinessProbe=probe), service(v.db, target=8080), asker(v.db))


def wall(v: Values) -> str:
    door = {"from": [{"podSelector": {"matchLabels": {"role": "front"}}}]}
    spec = {"podSelector": {"matchLabels": {"app": v.db}}, "ingress": [door]}
    policy = of("networking.k8s.io/v1", "NetworkPolicy", v.db, spec=spec)
    askers = asker(v.db, role="frontend"), asker(v.db, "stranger")
    return begin(v.wall, deployment(v.db, 1), service(v.db), policy, *askers)


def claim(v: Values) -> str:
    stores = of("storage.k8s.io/v1", "StorageClass", v.disk, provisioner="rancher.io/local-path")
    stores["volumeBindingMode"] = "WaitForFirstConsumer"
    spec: Object = {"storageClassName": f"{v.disk}-disk", "accessModes": ["ReadWriteOnce"]}
    spec["resources"] = {"requests": {"storage": "1Gi"}}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    program = deployment(v.db, 1, pod_spec={"volumes": [volume]}, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    return many(
        namespace(v.claim), stores, *within(v.claim, of("v1", "PersistentVolumeClaim", "data", spec=spec), program)
    )


def robot(v: Values) -> str:
    rules = [{"apiGroups": [""], "resources": ["pod"], "verbs": ["get", "list"]}]
    group = "rbac.authorization.k8s.io"
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }
    return begin(
        v.robot,
        of("v1", "ServiceAccount", "robot"),
        of(f"{group}/v1", "Role", "reader", rules=rules),
        of(f"{group}/v1", "RoleBinding", "reader", **binding),
    )
