"""What a lab shows of the cluster: its nodes and Pods, its past, every component's decisions. Part of Lab (lab.py)."""

import json
import os
import shlex
import subprocess
from typing import Any

from course.kernel import LabError
from course.output import Output
from course.widgets import browser, ladder, life, loop, matrix, records, rollout, sandboxes, stages, way, what_if
from course.widgets import merge as merging
from course.widgets.player import ClusterView, SequenceView
from course.widgets.state import Moments, State, state
from k8s_core.api.errors import StatusError
from k8s_core.cluster import Cluster


class Views:
    """Lab's methods about the cluster as a whole."""

    cluster: Cluster
    began: float
    environment: dict[str, str]
    _moments: Moments

    def kubectl(self, arguments: str) -> Output:
        """What kubectl prints: `lab.kubectl("get pods")`."""
        words = shlex.split(arguments)
        command = ["kubectl", *(words[1:] if words[:1] == ["kubectl"] else words)]
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        return Output(done.stdout + done.stderr)

    def show(self, *, system: bool = False) -> ClusterView:
        """The cluster, live, with its history; `system` shows kube-system's Pods too."""
        return ClusterView(self.revisions, lambda revision: self.state(revision, system=system), self.cluster.advance)

    def browse(self, prefix: str = "/registry/") -> browser.KeysView:
        """etcd's keys that begin with `prefix`, at every revision, and beside them a watch."""
        return browser.KeysView.of(self, prefix)

    def trace(self, command: str) -> SequenceView:
        """Run a kubectl command and show every request that followed from it until nothing was under way."""
        with self.cluster.lock:
            before = self.cluster.apiserver.audit.number
        output = self.kubectl(command)
        if output:
            print(output, end="")
        self.cluster.settle()
        with self.cluster.lock:
            actors, steps = way.steps(self.cluster.apiserver.audit.since(before))
        return SequenceView(command, actors, steps)

    def rollout(self, deployment: str, *, namespace: str = "default", everything: bool = False) -> rollout.RolloutView:
        """The last rollout of a Deployment as a timeline; `everything` shows all of them."""
        with self.cluster.lock:
            told = rollout.story(self.cluster.history, deployment, namespace, self.began, everything=everything)
        if not told["moments"] or not told["sets"]:
            raise LabError(f'There is no Deployment "{deployment}" in the namespace {namespace} to show.')
        return rollout.RolloutView(told)

    def loop(self, name: str, *, namespace: str = "default") -> loop.LoopView:
        """The loop that keeps a ReplicaSet's Pods (or those of a Deployment's newest one), turn by turn."""
        with self.cluster.lock:
            audit = self.cluster.apiserver.audit.since(0)
            told = loop.story(self.cluster.history, audit, name, namespace, self.began)
        if not told["turns"]:
            raise LabError(f'There is no ReplicaSet or Deployment "{name}" in the namespace {namespace} to show.')
        return loop.LoopView(told)

    def ladder(self, deployment: str, *, namespace: str = "default") -> ladder.LadderView:
        """How far a Deployment has come, from the wish to its endpoints, and who should take the next step."""
        with self.cluster.lock:
            moments = ladder.story(self.cluster.history, deployment, namespace, self.began)
        if not moments:
            raise LabError(f'There is no Deployment "{deployment}" in the namespace {namespace} to show.')
        return ladder.LadderView(deployment, moments)

    def what_if(self, **spec: Any) -> what_if.WhatIfView:
        """Where the scheduler would put one more Pod, with sliders for what it requests and what each score counts.

        Fields of its spec may be given: `lab.what_if(nodeSelector={"disk": "fast"})`.
        """
        if not self.cluster.scheduler.running:
            raise LabError("The scheduler does not run. Nobody can be asked.")
        return what_if.WhatIfView(self.cluster.scheduler, self.cluster.lock, list(self.cluster.addresses), spec)

    def sandboxes(self, pod: str = "", *, namespace: str = "default") -> sandboxes.SandboxesView:
        """The sandboxes and containers of every node's runtime, or those of one Pod."""
        with self.cluster.lock:
            runtimes = [(name, kubelet.runtime) for name, kubelet in self.cluster.kubelets.items()]
            told = sandboxes.story(runtimes, [(namespace, pod)] if pod else ())
        if not told:
            raise LabError(f'No runtime has a sandbox of a Pod "{pod}" of the namespace {namespace}.')
        return sandboxes.SandboxesView(told)

    def life(self, pod: str, *, namespace: str = "default") -> life.LifeView:
        """A Pod's life as a timeline: phases, readiness, each container's runs and back-offs, failed probes."""
        with self.cluster.lock:
            told = life.story(self.cluster.history, pod, namespace)
        if not told["moments"]:
            raise LabError(f'There is no Pod "{pod}" in the namespace {namespace} to show.')
        return life.LifeView(told)

    def decision(self, pod: str, *, namespace: str = "default") -> matrix.MatrixView:
        """Where the scheduler could put a Pod, attempt by attempt: who filtered each node out, and every score."""
        with self.cluster.lock:
            told = matrix.story(self.cluster.scheduler.decisions, pod, namespace, list(self.cluster.addresses))
        if not told["attempts"]:
            raise LabError(f'The scheduler has not decided about a Pod "{pod}" in the namespace {namespace}.')
        return matrix.MatrixView(told)

    def merge(self, file: str) -> merging.MergeView:
        """What kubectl apply would do with a file, field by field: the file, what was applied last, the live object."""
        text = self.kubectl(f"create --dry-run=client --validate=false -o json -f {shlex.quote(file)}")
        try:
            wish = json.loads(text)
        except ValueError:
            raise LabError(f"{file} cannot be read: {text.strip()}") from None
        live, kind = self._live(f"{wish['kind']}.{wish['apiVersion']}", wish["metadata"]["name"], wish)
        return merging.MergeView(file, merging.rows(wish, merging.last_applied(live), live, kind))

    def stages(self, command: str) -> stages.StagesView:
        """Run a command (kubectl or curl) and show how far each of its requests came in the apiserver."""
        with self.cluster.lock:
            before = self.cluster.apiserver.audit.number
        output = Output(_shell(command, {**os.environ, **self.environment}))
        if output:
            print(output, end="")
        with self.cluster.lock:
            found = stages.rows(self.cluster.apiserver.audit.since(before))
        return stages.StagesView(command, found)

    def audit(self, *, user: str = "", verb: str = "", resource: str = "") -> records.AuditView:
        """The apiserver's audit log since the lab began: who asked for what. `lab.audit(user="ada", verb="create")`."""
        with self.cluster.lock:
            events = list(self.cluster.apiserver.audit.since())
        return records.AuditView(records.pick(events, user=user, verb=verb, resource=resource))

    def owners(self, kind: str, name: str, *, namespace: str = "default") -> merging.OwnersView:
        """Who owns each field of an object, from its managedFields: `lab.owners("deployment", "web")`."""
        live, _ = self._live(kind, name, {"metadata": {"namespace": namespace}})
        return merging.OwnersView(name, merging.owners(live))

    def _live(self, kind: str, name: str, wish: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The object as it is, and its schema. A kind is "deployment", or "Deployment.apps/v1" in full."""
        singular, _, version = kind.partition(".")
        with self.cluster.lock:
            server = self.cluster.apiserver
            for found in server.resources:
                names = {found.kind.lower(), found.name, *found.short_names}
                if singular.lower() in names and version in ("", found.api_version):
                    break
            else:
                raise LabError(f'There is no kind "{kind}".')
            namespace = wish["metadata"].get("namespace", "default") if found.namespaced else ""
            try:
                live = self.cluster.client().get(found.group_resource, name, namespace)
            except StatusError as error:
                raise LabError(str(error.status["message"])) from None
            try:
                return live, server.schema.kind(found.group, found.version, found.kind)
            except KeyError:
                return live, None

    def revisions(self) -> list[int]:
        """Every revision since the lab began at which something changed that the picture shows."""
        with self.cluster.lock:
            return list(self._moments.revisions())

    def state(self, revision: int | None = None, *, system: bool = False) -> State:
        """The cluster as plain data, now or as it was at a revision."""
        with self.cluster.lock:
            return state(self.cluster.history, revision or self.cluster.etcd.revision, self.began, system=system)

    def keys(self, prefix: str = "/registry/") -> Output:
        """The keys in etcd that begin with `prefix`."""
        with self.cluster.lock:
            found = [kv.key.decode() for kv in self.cluster.etcd.live() if kv.key.decode().startswith(prefix)]
        return Output("".join(f"{key}\n" for key in sorted(found)))


def _shell(command: str, variables: dict[str, str]) -> str:
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
