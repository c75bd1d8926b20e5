"""etcd: the v3 key space (revisions, transactions, leases, watches, compaction) that holds the whole cluster."""
