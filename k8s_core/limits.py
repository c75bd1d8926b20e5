"""Every interval, timeout and size that Kubernetes fixes, in one place, with its flag's or constant's name.

Seconds and bytes unless a name says otherwise.
"""

# --- kube-apiserver ----------------------------------------------------------------------------------------------
MAX_REQUEST_BODY = 3 * 1024 * 1024  # DefaultMaxRequestSizeBytes
MAX_JSON_PATCH_OPERATIONS = 10_000  # maxJSONPatchOperations
MAX_UPDATE_MANAGERS = 10  # DefaultMaxUpdateManagers: more are summed up as "ancient-changes"
MAX_ANNOTATIONS_SIZE = 256 * 1024  # TotalAnnotationSizeLimitB
EVENT_TTL = 3600.0  # --event-ttl
WATCH_CACHE_WINDOW = 1024  # events a resource's watch cache keeps before it falls back on etcd
BOOKMARK_PERIOD = 60.0  # a watch that allows bookmarks gets one about this often
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
EXPECTATIONS_TIMEOUT = 300.0  # ExpectationsTimeout: after that a controller acts on what it sees
BURST_REPLICAS = 500  # BurstReplicas: Pods that one sync of a ReplicaSet creates or deletes at most
DAEMON_BURST_REPLICAS = 250  # BurstReplicas of the DaemonSet controller
MAX_ENDPOINTS_PER_SLICE = 100  # --max-endpoints-per-slice
MAX_ENDPOINTS_CAPACITY = 1000  # maxCapacity: addresses in the deprecated Endpoints
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
JOB_BACKOFF = (10.0, 600.0)  # DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff

# --- kube-scheduler ----------------------------------------------------------------------------------------------
SCHEDULER_INITIAL_BACKOFF = 1.0  # podInitialBackoffSeconds
SCHEDULER_MAX_BACKOFF = 10.0  # podMaxBackoffSeconds
SCHEDULER_UNSCHEDULABLE_TIMEOUT = 300.0  # --pod-max-in-unschedulable-pods-duration
SCHEDULER_FLUSH_PERIOD = 30.0  # how often Pods are checked for that
