"""kube-scheduler: queue, scheduling cycle, plugins, preemption."""

from k8s_core.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
