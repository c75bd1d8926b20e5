"""The ClusterRole aggregation controller: a role with an aggregationRule holds the rules of all roles it selects.

So `edit` grows by itself when somebody labels a role for a custom resource.
Stands for pkg/controller/clusterroleaggregation.
"""

from k8s_core.api import Object
from k8s_core.api.selectors import from_label_selector
from k8s_core.controllers.controller import Controller

ROLES = "clusterroles.rbac.authorization.k8s.io"


class ClusterRoleAggregationController(Controller):
    name = "clusterrole-aggregation-controller"
    aliases = ("clusterrole-aggregation",)
    account = "clusterrole-aggregation-controller"

    def setup(self) -> None:
        self.roles = self.informer(ROLES, changed=self.changed)

    def changed(self, role: Object) -> None:
        """Any role may be part of any aggregate: look at all of them, of which there are few."""
        for each in self.roles.list():
            if each.get("aggregationRule"):
                self.enqueue(each)

    def sync(self, key: str) -> None:
        role = self.roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules: list[Object] = []
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            matcher = from_label_selector(selector)
            for each in sorted(self.roles.list(), key=lambda one: one["metadata"]["name"]):
                if each["metadata"]["name"] != key and matcher.matches(each["metadata"].get("labels") or {}):
                    rules += [rule for rule in each.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            self.client.update(ROLES, {**role, "rules": rules})
