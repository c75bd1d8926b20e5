"""The controllers: each brings one thing of the world in line with what the API says it should be.

`CONTROLLERS` is kube-controller-manager's list, in its names. manager.py starts them; controller.py is the loop they
share; every other file is one controller.
"""

from k8s_core.controllers.certificatesigning import CertificateSigningController
from k8s_core.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8s_core.controllers.controller import Controller
from k8s_core.controllers.cronjob import CronJobController
from k8s_core.controllers.daemonset import DaemonSetController
from k8s_core.controllers.deployment import DeploymentController
from k8s_core.controllers.disruption import DisruptionController
from k8s_core.controllers.endpoints import EndpointsController
from k8s_core.controllers.endpointslice import EndpointSliceController
from k8s_core.controllers.endpointslicemirroring import EndpointSliceMirroringController
from k8s_core.controllers.ephemeralvolume import EphemeralVolumeController
from k8s_core.controllers.garbagecollector import GarbageCollector
from k8s_core.controllers.horizontalpodautoscaler import HorizontalPodAutoscalerController
from k8s_core.controllers.job import JobController
from k8s_core.controllers.namespace import NamespaceController
from k8s_core.controllers.nodeipam import NodeIPAMController
from k8s_core.controllers.nodelifecycle import NodeLifecycleController
from k8s_core.controllers.persistentvolumebinder import PersistentVolumeBinderController
from k8s_core.controllers.podgc import PodGCController
from k8s_core.controllers.policystatus import PolicyStatusController
from k8s_core.controllers.protection import ClaimProtectionController, VolumeProtectionController
from k8s_core.controllers.replicaset import ReplicaSetController
from k8s_core.controllers.replicationcontroller import ReplicationController
from k8s_core.controllers.resourcequota import ResourceQuotaController
from k8s_core.controllers.rootcacertpublisher import RootCACertPublisher
from k8s_core.controllers.serviceaccount import ServiceAccountController
from k8s_core.controllers.servicecidr import ServiceCIDRController
from k8s_core.controllers.statefulset import StatefulSetController
from k8s_core.controllers.tainteviction import TaintEvictionController
from k8s_core.controllers.ttl import TTLController
from k8s_core.controllers.ttlafterfinished import TTLAfterFinishedController

CONTROLLERS: dict[str, type[Controller]] = {
    each.name: each
    for each in (
        ServiceAccountController,
        EndpointsController,
        EndpointSliceController,
        EndpointSliceMirroringController,
        ReplicationController,
        PodGCController,
        ResourceQuotaController,
        NamespaceController,
        GarbageCollector,
        DaemonSetController,
        JobController,
        DeploymentController,
        ReplicaSetController,
        HorizontalPodAutoscalerController,
        DisruptionController,
        StatefulSetController,
        CronJobController,
        CertificateSigningController,
        TTLController,
        NodeIPAMController,
        NodeLifecycleController,
        TaintEvictionController,
        PersistentVolumeBinderController,
        EphemeralVolumeController,
        TTLAfterFinishedController,
        ClusterRoleAggregationController,
        ClaimProtectionController,
        VolumeProtectionController,
        RootCACertPublisher,
        ServiceCIDRController,
        PolicyStatusController,
    )
}
