"""What a learner waits, by the wall clock, while the real kubectl waits for what takes a cluster minutes.

A server whose clock is "elastic", as a lab's is; each figure is one kubectl process from its start to its end.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.wire import server

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: {retries}
  template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: busybox, command: [sh, -c, '{script}']}}]}}}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: {name}}}}}
  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: c, image: '{image}'{more}}}]}}}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec: {{nodeName: worker2, containers: [{{name: c, image: busybox, command: [sh, -c, '{script}']}}]}}
"""
CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: every5}
spec:
  schedule: '*/5 * * * *'
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: ['true']}]}}}
"""
TOLERANT = """
apiVersion: v1
kind: Pod
metadata: {name: tolerant}
spec:
  nodeName: worker2
  containers: [{name: c, image: nginx}]
  tolerations: [{key: lost, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]
"""
RESTARTS = "jsonpath='{.status.containerStatuses[0].restartCount}{\"\\n\"}'"
READY_LATE = ", readinessProbe: {exec: {command: ['true']}, initialDelaySeconds: 240}"

CASES = [
    ("wait for a Job of 4 minutes", JOB.format(name="long", retries=0, script="sleep 240"),
     "kubectl wait --for=condition=Complete job/long --timeout=20m"),
    ("wait for a Job that fails after 6 tries", JOB.format(name="fails", retries=5, script="exit 1"),
     "kubectl wait --for=condition=Failed job/fails --timeout=20m"),
    ("rollout of 3 Pods ready after 4 minutes", DEPLOYMENT.format(name="late", image="nginx", more=READY_LATE),
     "kubectl rollout status deployment/late"),
    ("rollout that fails after 10 minutes", DEPLOYMENT.format(name="never", image="nginx:no-such-tag", more=""),
     "! kubectl rollout status deployment/never 2>&1"),
    ("wait for a CronJob's time", CRON,
     "kubectl wait --for=jsonpath={.status.lastSuccessfulTime} cronjob/every5 --timeout=20m"),
    ("get -w until the fifth restart", POD.format(name="crashes", script="exit 3"),
     f"exec 3< <(exec kubectl get pod crashes -w -o {RESTARTS}); grep -m1 ^5 <&3; kill $!"),
    ("logs -f of a Pod of 5 minutes",
     POD.format(name="talks", script="for i in $(seq 60); do echo $i; sleep 5; done; sleep 1000000"),
     "kubectl wait --for=condition=Ready pod talks; exec 3< <(exec kubectl logs -f talks); grep -m1 60 <&3; kill $!"),
    ("eviction of a Pod that bears a lost node for 5 minutes", TOLERANT,
     "kubectl taint node worker2 lost=yes:NoExecute; kubectl wait --for=delete pod/tolerant --timeout=20m"),
]  # fmt: skip


def waiting() -> list[tuple[str, float, float, str, bool]]:
    figures = []
    with server("--clock", "elastic") as at, tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "KUBECONFIG": str(at.kubeconfig), "KUBECACHEDIR": cache}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

        def run(line: str, given: str = "") -> None:
            subprocess.run(
                ["bash", "-c", line], input=given, env=environment, check=True, stdout=subprocess.DEVNULL, text=True
            )

        run("kubectl wait --for=condition=Ready nodes --all --timeout=5m")
        for what, manifest, command in CASES:
            run("kubectl apply -f -", manifest)
            began = time.perf_counter()
            run(command)
            figures.append((what, time.perf_counter() - began, 1.0, "s", False))
    return figures
