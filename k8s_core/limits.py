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
