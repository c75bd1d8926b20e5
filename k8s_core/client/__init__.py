"""What client-go is to Go: the one thing a component is given to talk to the apiserver."""

from k8s_core.client.client import Client
from k8s_core.client.events import Recorder
from k8s_core.client.informer import Informer
from k8s_core.client.workqueue import WorkQueue

__all__ = ["Client", "Informer", "Recorder", "WorkQueue"]
