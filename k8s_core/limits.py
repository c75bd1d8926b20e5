"""Every interval, timeout and size that Kubernetes fixes, in one place, with its flag's or constant's name.

Seconds and bytes unless a name says otherwise.
"""

# --- kube-apiserver ----------------------------------------------------------------------------------------------
MAX_REQUEST_BODY = 3 * 1024 * 1024  # DefaultMaxRequestSizeBytes
MAX_JSON_PATCH_OPERATIONS = 10_000  # maxJSONPatchOperations
MAX_UPDATE_MANAGERS = 10  # DefaultMaxUpdateManagers: more are summed up as "ancient-changes"
MAX_ANNOTATIONS_SIZE = 256 * 1024  # TotalAnnotationSizeLimitB
EVENT_TTL = 3600.0  # --event-ttl
EVENT_SIMILAR, EVENT_SIMILAR_SECONDS = 10, 600.0  # client-go's defaultAggregateMaxEvents, -IntervalInSeconds
EVENT_BURST, EVENT_REFILL_SECONDS = 25, 300.0  # defaultSpamBurst, 1 / defaultSpamQPS
KUBERNETES_SERVICE_PERIOD = 10.0  # EndpointReconciler's interval: how soon the Service "kubernetes" is there again
SYSTEM_NAMESPACES_PERIOD = 60.0  # how soon a system namespace is there again
WATCH_CACHE_WINDOW = 1024  # events a resource's watch cache keeps before it falls back on etcd
BOOKMARK_PERIOD = 60.0  # a watch that allows bookmarks gets one about this often
ETCD_COMPACTION_INTERVAL = 300.0  # --etcd-compaction-interval, on a real etcd; our own keeps all its history
AUDIT_LOG_SIZE = 10_000  # entries kept for learners and checks
SERVICE_CIDR = "10.96.0.0/12"  # --service-cluster-ip-range
NODE_PORT_RANGE = (30000, 32767)  # --service-node-port-range
DNS_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

# --- client-go ---------------------------------------------------------------------------------------------------
QUEUE_BASE_DELAY = 0.005  # DefaultControllerRateLimiter, first retry
QUEUE_MAX_DELAY = 1000.0  # DefaultControllerRateLimiter, ceiling
REFLECTOR_BACKOFF = (0.8, 30.0)  # reflector back-off when the server is away: first, ceiling

# --- kube-controller-manager -------------------------------------------------------------------------------------
POD_CIDR = "10.32.0.0/12"  # --cluster-cidr
NODE_CIDR_MASK = 24  # --node-cidr-mask-size
BATCH_PER_OBJECT = 0.0005  # how long news of one of many objects may wait for the others' (upstream: --kube-api-qps)
BATCH_FROM = 20  # objects; below, everything is done at once
EXPECTATIONS_TIMEOUT = 300.0  # ExpectationsTimeout: after that a controller acts on what it sees
BURST_REPLICAS = 500  # BurstReplicas: Pods that one sync of a ReplicaSet creates or deletes at most
DAEMON_BURST_REPLICAS = 250  # BurstReplicas of the DaemonSet controller
DAEMON_FAILED_BACKOFF = (1.0, 900.0)  # failedPodsBackoff of the DaemonSet controller: first, ceiling
MAX_ENDPOINTS_PER_SLICE = 100  # --max-endpoints-per-slice
MAX_ENDPOINTS_CAPACITY = 1000  # maxCapacity: addresses in Endpoints; also --mirroring-max-endpoints-per-subset
SERVICE_CIDR_DELETION_GRACE = 10.0  # deletionGracePeriod of the ServiceCIDR controller
NODE_MONITOR_PERIOD = 5.0  # --node-monitor-period
NODE_MONITOR_GRACE_PERIOD = 50.0  # --node-monitor-grace-period
NODE_STARTUP_GRACE_PERIOD = 60.0  # --node-startup-grace-period
NODE_EVICTION_RATE = 0.1  # --node-eviction-rate: nodes a second, in a zone that is healthy
SECONDARY_NODE_EVICTION_RATE = 0.01  # --secondary-node-eviction-rate: in a large zone that is not
UNHEALTHY_ZONE_THRESHOLD = 0.55  # --unhealthy-zone-threshold
LARGE_CLUSTER_SIZE_THRESHOLD = 50  # --large-cluster-size-threshold
POD_GC_PERIOD = 20.0  # gcCheckPeriod
POD_GC_QUARANTINE = 40.0  # quarantineTime: how long a node must be missing before its Pods are
TERMINATED_POD_GC_THRESHOLD = 12_500  # --terminated-pod-gc-threshold
NAMESPACE_DELETION_GRACE = 5.0  # namespaceDeletionGracePeriod: how long a namespace's end is let sink in
GC_DISCOVERY_PERIOD = 30.0  # how often the garbage collector looks for new resources to watch
GC_UNKNOWN_KIND_RETRY = 30.0  # when it looks again at an owner of a kind it does not know
MAX_DISRUPTED_PODS = 2000  # MaxDisruptedPodSize: evictions of one budget that nobody has seen carried out
DISRUPTION_DELETION_TIMEOUT = 120.0  # DeletionTimeout: how long a granted eviction may take to be seen
MAX_POD_CREATE_DELETE_PER_SYNC = 500  # MaxPodCreateDeletePerSync of the Job controller
# ttlBoundaries: fewest and most nodes of a step, and the seconds a kubelet may keep what it read
TTL_BOUNDARIES = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10_000, 300), (9000, 10**9, 600))
HPA_SYNC_PERIOD = 15.0  # --horizontal-pod-autoscaler-sync-period
HPA_DOWNSCALE_STABILIZATION = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
HPA_TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
JOB_BACKOFF = (10.0, 600.0)  # DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff
PROVISIONING_SECONDS = 2.0  # not a flag: how long the simulated provisioner takes for a volume

# --- kube-scheduler ----------------------------------------------------------------------------------------------
SCHEDULER_INITIAL_BACKOFF = 1.0  # podInitialBackoffSeconds
SCHEDULER_MAX_BACKOFF = 10.0  # podMaxBackoffSeconds
SCHEDULER_UNSCHEDULABLE_TIMEOUT = 300.0  # --pod-max-in-unschedulable-pods-duration
SCHEDULER_FLUSH_PERIOD = 30.0  # how often Pods are checked for that

# --- kubelet -----------------------------------------------------------------------------------------------------
NODE_LEASE_DURATION = 40  # nodeLeaseDurationSeconds
NODE_LEASE_RENEW_PERIOD = 10.0  # a quarter of it: nodeLeaseRenewIntervalFraction
NODE_STATUS_UPDATE_FREQUENCY = 10.0  # nodeStatusUpdateFrequency: how often the kubelet looks at its node
NODE_STATUS_REPORT_FREQUENCY = 300.0  # nodeStatusReportFrequency: how often it writes when nothing changed
REGISTER_RETRY = 1.0  # step of registerWithAPIServer's back-off
NODE_READY_AFTER = 1.0  # not a flag: how long the container runtime's network takes to come up
NODE_CAPACITY = {"cpu": "1", "ephemeral-storage": "20145724Ki", "memory": "3840Mi", "pods": "110"}  # --max-pods
PLEG_RELIST_PERIOD = 1.0  # genericPlegRelistPeriod: how late the kubelet notices what containers do, at most
HOLLOW_NODE_SECONDS = 0.12  # not a flag: how late a hollow node, whose containers start at once, notices that
POD_SYNC_FREQUENCY = 60.0  # syncFrequency: how often volumes and Pods are looked at again
POD_REJECTION_SECONDS = 1.0  # not a flag: how long it takes to refuse a Pod; some owners make it again at once
POD_RETRY_PERIOD = 10.0  # backOffPeriod: when a failed Pod sync is tried again
CONTAINER_BACKOFF = (10.0, 300.0)  # backOffPeriod, MaxContainerBackOff; reset after twice the ceiling
IMAGE_BACKOFF = (10.0, 300.0)  # imageBackOff
MOUNT_BACKOFF = (0.5, 122.0)  # exponentialbackoff of volume operations
SANDBOX_SECONDS = (0.2, 0.4)  # not a flag: how long a sandbox with its network takes
CONTAINER_START_SECONDS = (0.05, 0.15)  # not a flag: create and start of one container
IMAGE_CHECK_SECONDS = (0.4, 0.9)  # not a flag: asking the registry for an image that is here already
IMAGE_PULL_BYTES_PER_SECOND = 40_000_000  # not a flag
MINIMUM_GRACE_PERIOD = 2.0  # minimumGracePeriodInSeconds: what a preStop hook leaves for SIGTERM
KUBELET_RESTART_SECONDS = 10.0  # RestartSec of kubeadm's kubelet.service
CONTAINERD_RESTART_SECONDS = 5.0  # RestartSec of containerd.service
JOURNAL_SIZE = 5000  # lines a node's journal keeps
MAX_COMMAND_OUTPUT = 4 << 20  # not a flag: bytes of a command's output that are kept
# evictionHard's defaults
EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
NODE_INODES, NODE_PIDS = 1_310_720, 30_000  # not flags: what the node's file system and its kernel allow
APISERVER_START_SECONDS = 3.0  # not a flag: how long a kube-apiserver takes until it listens
ETCD_DIAL_SECONDS = 20.0  # dialTimeout of the apiserver's etcd client
LEASE_RENEW_DEADLINE = 10.0  # --leader-elect-renew-deadline
KUBECTL_SECONDS, KUBECTL_WATCH_SECONDS = 60.0, 5.0  # not flags: wall seconds for a kubectl typed on a node, and for -w
EVICTION_MONITORING_PERIOD = 10.0  # evictionMonitoringPeriod
EVICTION_PRESSURE_TRANSITION = 300.0  # evictionPressureTransitionPeriod
COMMAND_LIMIT = 120.0  # not a flag: virtual seconds after which a command typed on a node gets ^C
STATIC_POD_CHECK_PERIOD = 20.0  # --file-check-frequency
CONTAINER_LOG_MAX_SIZE = 512 * 1024  # containerLogMaxSize is 10Mi: a simulated container is given less
TERMINATION_MESSAGE_MAX = 4096  # MaxContainerTerminationMessageLength
TERMINATION_LOG_LINES = 80  # MaxContainerTerminationMessageLogLines, for FallbackToLogsOnError
CLIENT_WAITS_FOR_CONTAINER = 120.0  # not a flag: how long a container that is to end keeps time running

APISERVICE_RETRY = 5.0  # not a flag: until an aggregated API that did not answer is asked again
METRICS_WINDOW = 15.0  # metrics-server's --metric-resolution
SYSTEM_CPU, SYSTEM_MEMORY = 0.06, 420 << 20  # not flags: what a node's kernel, kubelet and runtime use themselves

# --- certificates
CERTIFICATE_DURATION = 365 * 24 * 3600  # --cluster-signing-duration

# --- CustomResourceDefinitions
CRD_CLEANUP_RETRY = 1.0  # crd_finalizer polls every second while objects with finalizers remain

# --- kube-proxy and the network ------------------------------------------------------------------------------------
PROXY_FULL_SYNC_PERIOD = 3600.0  # FullSyncPeriod: when kube-proxy writes all rules, not those that changed
LARGE_CLUSTER_ENDPOINTS = 1000  # largeClusterEndpointsThreshold: above, rules carry no comments
CONNTRACK_MAX = 32768  # --conntrack-max-per-core: connections that a node remembers
CONNTRACK_SECONDS = {"tcp": 86400.0, "udp": 30.0, "sctp": 210.0}  # --conntrack-tcp-timeout-established; the kernel's
NETWORK_LOG_SIZE = 10_000  # flows and DNS queries kept for learners and checks
ARP_SECONDS = 3.0  # until Linux knows that nobody in its own network has an address
INGRESS_PROXY_TIMEOUT = 5.0  # proxy-connect-timeout of ingress-nginx
COREDNS_RELOAD_PERIOD = 30.0  # the reload plugin's interval
LOAD_BALANCER_POOL = "192.0.2.0/24"  # not a flag: addresses that the simulated provider gives away
LOAD_BALANCER_SECONDS = 5.0  # not a flag: how long it takes to make a balancer

# --- etcd --------------------------------------------------------------------------------------------------------
ETCD_MAX_REQUEST_BYTES = 1_572_864  # --max-request-bytes
ETCD_GRPC_OVERHEAD = 512 * 1024  # grpcOverheadBytes: how much larger than that a message may be
ETCD_MAX_TXN_OPS = 128  # --max-txn-ops
ETCD_QUOTA_BYTES = 2 * 1024**3  # --quota-backend-bytes
ETCD_PUT_OVERHEAD, ETCD_LEASE_OVERHEAD = 256, 64  # kvOverhead, leaseOverhead: what a quota counts beside the data
ETCD_SNAPSHOT_COUNT = 10_000  # --snapshot-count, as kubeadm sets it
ETCD_PROGRESS_INTERVAL = 600.0  # --experimental-watch-progress-notify-interval
ETCD_WATCH_BATCH_REVISIONS = 1000  # watchBatchMaxRevs: how many revisions of the past go into one response
ETCD_MAX_UNSENT = 16 * 1024 * 1024  # not a flag: events that wait for a slow client before its watches fall behind
ETCD_TOKEN_TTL = 300.0  # --auth-token-ttl
ETCD_MIN_LEASE_TTL, ETCD_MAX_LEASE_TTL = 2, 9_000_000_000  # minTTL: one and a half election timeouts; MaxLeaseTTL
ETCD_TICK = 0.1  # --heartbeat-interval
ETCD_ELECTION_TICKS = 10  # --election-timeout, in heartbeats
ETCD_REQUEST_TIMEOUT = 7.0  # ReqTimeout: five seconds and two election timeouts
ETCD_EXPIRY_RETRY = 1.0  # not a flag: when a group without a quorum tries again to end a lease
ETCD_MAX_LEARNERS = 1  # --experimental-max-learners
ETCD_REVISION_COMPACTION_PERIOD = 300.0  # revInterval: how often --auto-compaction-mode=revision looks
ETCD_V2_WATCH_TIMEOUT = 300.0  # defaultWatchTimeout
ETCD_V2_HISTORY = 1000  # how many events v2store's EventHistory keeps
ETCD_CLIENT_TIMEOUT = 10.0  # not a flag: how long the apiserver waits for a real etcd
ETCD_CLIENT_LOOK = 0.1  # not a flag: how often it looks what that etcd's watch has brought
ETCD_CLIENT_PAUSE = 0.5  # not a flag: from one try to connect to it to the next
