"""Admission: the last word on an object before it is validated and stored.

The plugins are kube-apiserver's, by its names and in its order; which are on by default is upstream's choice plus
NodeRestriction, which kubeadm enables. `enable` and `disable` are `--enable-` and `--disable-admission-plugins`.
A plugin reads the store through `Reader`, may ask the authorizer and webhooks, and nothing else. `guards` look at
every write, whatever is switched off.
"""

from collections.abc import Callable, Iterable, Mapping

from k8s_core.api import Object
from k8s_core.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from k8s_core.apiserver.admission.default_classes import DefaultIngressClass, DefaultStorageClass
from k8s_core.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from k8s_core.apiserver.admission.event_rate_limit import EventRateLimit
from k8s_core.apiserver.admission.limit_ranger import LimitRanger
from k8s_core.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from k8s_core.apiserver.admission.node_restriction import NodeRestriction
from k8s_core.apiserver.admission.optional import (
    AlwaysAdmit,
    AlwaysDeny,
    AlwaysPullImages,
    DenyServiceExternalIPs,
    ExtendedResourceToleration,
    LimitPodHardAntiAffinityTopology,
    NamespaceAutoProvision,
    NamespaceExists,
    OwnerReferencesPermissionEnforcement,
    PodNodeSelector,
    PodTolerationRestriction,
)
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, UPDATE, Plugin
from k8s_core.apiserver.admission.pod_security import PodSecurity
from k8s_core.apiserver.admission.policies import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from k8s_core.apiserver.admission.priority import Priority
from k8s_core.apiserver.admission.reinvocation import Reinvocation
from k8s_core.apiserver.admission.resource_quota import ResourceQuota
from k8s_core.apiserver.admission.runtime_class import RuntimeClass
from k8s_core.apiserver.admission.service_account import ServiceAccount
from k8s_core.apiserver.admission.storage_objects import PersistentVolumeClaimResize, StorageObjectInUseProtection
from k8s_core.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from k8s_core.apiserver.admission.webhooks import MutatingAdmissionWebhook, ValidatingAdmissionWebhook
from k8s_core.apiserver.authorization import Authorizer
from k8s_core.apiserver.backends import Backends
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Request
from k8s_core.clock import Loop

ORDER: tuple[type[Plugin], ...] = (
    AlwaysAdmit,
    NamespaceAutoProvision,
    NamespaceLifecycle,
    NamespaceExists,
    LimitPodHardAntiAffinityTopology,
    LimitRanger,
    ServiceAccount,
    NodeRestriction,
    TaintNodesByCondition,
    AlwaysPullImages,
    PodSecurity,
    PodNodeSelector,
    Priority,
    DefaultTolerationSeconds,
    PodTolerationRestriction,
    EventRateLimit,
    ExtendedResourceToleration,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    OwnerReferencesPermissionEnforcement,
    PersistentVolumeClaimResize,
    RuntimeClass,
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    DefaultIngressClass,
    DenyServiceExternalIPs,
    MutatingAdmissionPolicy,
    MutatingAdmissionWebhook,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionWebhook,
    ResourceQuota,
    AlwaysDeny,
)
PLUGINS = {plugin.name: plugin for plugin in ORDER}
UNBUILT = frozenset(
    ("ClusterTrustBundleAttest", "ImagePolicyWebhook", "PersistentVolumeLabel", "PodTopologyLabels")
)  # fmt: skip
"""Plugins that kube-apiserver has or had and this one does not: they can be switched off, but not on."""
Guard = Callable[[Request, Object | None, Object | None], None]


class Admission:
    """The plugins that are on, in order. ValueError for a plugin that does not exist."""

    def __init__(
        self,
        reader: Reader,
        loop: Loop,
        enable: Iterable[str] = (),
        disable: Iterable[str] = (),
        guards: Iterable[Guard] = (),
        authorizer: Authorizer | None = None,
        backends: Backends | None = None,
        configuration: Mapping[str, Object] | None = None,
    ) -> None:
        enabled, disabled = set(enable), set(disable)
        if unknown := (enabled | disabled - UNBUILT) - set(PLUGINS):
            known = ", ".join(sorted(PLUGINS))
            raise ValueError(f'admission plugin "{sorted(unknown)[0]}" is unknown, expected one of {known}')
        names = ({plugin.name for plugin in ORDER if plugin.by_default} | enabled) - disabled
        self.plugins = [plugin(reader, loop, authorizer, backends) for plugin in ORDER if plugin.name in names]
        for plugin in self.plugins:
            plugin.configuration = (configuration or {}).get(plugin.name, {})
        self.guards = list(guards)
        self._chosen: dict[tuple[str, str], list[Plugin]] = {}

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        """Let every plugin complete the object, or refuse it with StatusError; once more if one of them wants it."""
        again = request.reinvocation = Reinvocation()
        for _ in range(2):
            for plugin in self._for(request, obj, old):
                plugin.mutate(request, obj, old)
            if not again.wanted:
                break
            again.second = True

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        """Let every plugin look at the finished object, or refuse it with StatusError."""
        for plugin in self._for(request, obj, old):
            plugin.validate(request, obj, old)
        for guard in self.guards:
            guard(request, obj, old)

    def _for(self, request: Request, obj: Object | None, old: Object | None) -> list[Plugin]:
        assert request.resource is not None
        operation = DELETE if obj is None else UPDATE if old is not None else CREATE
        key = (request.resource.group_resource, operation)
        if (chosen := self._chosen.get(key)) is None:
            chosen = self._chosen[key] = [
                plugin
                for plugin in self.plugins
                if operation in plugin.operations and (not plugin.resources or key[0] in plugin.resources)
            ]
        return chosen
