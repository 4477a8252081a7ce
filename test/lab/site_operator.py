"""A site on a real Kubernetes control plane: its Ingot is `ingot operator` with the rights of the manifests' service account."""
import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
import traceback

import cluster
from cases import Guest
from server import Disk
from site_ingot import BMCS_ARE_OURS, Site

PATIENCE = 120


class OperatorSite(Site):
    """A site whose API is a cluster's, and whose Ingot is the cluster's operator."""

    api_address = "127.0.0.1"

    def __init__(self, directory, kind=Guest, install=cluster.Cluster.install):
        """install: what a person does with the cluster before Ingot is started."""
        super().__init__(directory, kind.images)
        self.kind, self._install = kind, install

    def __enter__(self):
        super().__enter__()
        self.cluster = cluster.Cluster(self.lab, os.path.join(self.dir, "cluster"), address=self.api_address)
        self.cluster.start()
        self._install(self.cluster)
        os.makedirs(self.data)
        os.symlink(self.cluster.admin, os.path.join(self.data, "kubeconfig"))
        return self

    def start(self, *options, boot=True):
        argv = [self.program, "operator", "--kubeconfig", self.cluster.ingot, "--log-level", "debug", *options,
                *(self._manager_options() if boot else BMCS_ARE_OURS)]
        self.ingot = self.lab.popen(argv, log=self.log)

    def host(self, name, namespace="default"):
        return json.loads(self.kubectl("get", "bmh", name, "-n", namespace, "-o", "json"))

    def wait(self, what, condition, namespace="default", deadline=PATIENCE):
        self.kubectl("wait", what, "-n", namespace, "--for", condition, f"--timeout={deadline}s", deadline=deadline + 10)

    def wait_state(self, name, state, namespace="default"):
        """By a watch of our own: kubectl 1.20 cannot wait for a field. First comes a list, then what changes (see Site.watch)."""
        path = "{.items[*].status.provisioning.state}{.status.provisioning.state}{\"\\n\"}"
        argv = self.lab.inside_argv(["kubectl", "--kubeconfig", f"{self.data}/kubeconfig", "get", "bmh", "-n", namespace,
                                     f"--field-selector=metadata.name={name}", "-w", "-o", f"jsonpath={path}"])
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            try:
                if not any(line.strip() == state for line in process.stdout):
                    raise AssertionError(f"{name} did not become {state} within {PATIENCE} s; end of the log: {self.log_end()}")
            finally:
                timer.cancel()
                process.kill()

    def small_server(self, name):
        return self.lab.server(name, memory=128, disks=[Disk("64M")])

    def register(self, server, namespace="default", **spec):
        """A host that is taken over without a boot."""
        credentials = self.credentials(server)
        host = self.bare_metal_host(server, **{"online": False, **spec})
        host["metadata"]["annotations"] = {"inspect.metal3.io": "disabled"}
        for thing in (credentials, host):
            thing["metadata"]["namespace"] = namespace
        self.apply(credentials, host)


def gone(site, *things, namespace="default"):
    """kubectl wait fails for what is gone already."""
    for thing in things:
        if site.kubectl("get", thing, "-n", namespace, "--ignore-not-found", "-o", "name").strip():
            site.wait(thing, "delete", namespace)


class NoSite:
    """For a case that needs a directory and nothing else."""

    def __init__(self, directory):
        self.dir, self.log = directory, os.path.join(directory, "ingot.log")

    def __enter__(self):
        os.makedirs(self.dir)
        return self

    def __exit__(self, *_):
        pass

    def __str__(self):
        return self.dir


# --- running cases ------------------------------------------------------------------------------------


def run(case):
    """Why it failed, or None."""
    with tempfile.TemporaryDirectory(prefix="ingot-lab-") as directory, contextlib.ExitStack() as stack:
        try:
            site = stack.enter_context(getattr(case, "site", OperatorSite)(os.path.join(directory, "site")))
            case(site)
        except Exception:
            log = site.log_end() if "site" in locals() and os.path.exists(site.log) else ""
            return traceback.format_exc() + "--- end of Ingot's log\n" + log
    return None


def main(cases, wanted, not_run):
    """TAP. A case is a function of a site, which it may have made by an attribute `site` of its own. not_run(case, wanted): why not, or
    None."""
    cases = [c for c in cases if not wanted or c.__name__ in wanted]
    print(f"1..{len(cases)}", flush=True)
    failed = False
    for number, case in enumerate(cases, 1):
        if reason := not_run(case, wanted):
            print(f"ok {number} - {case.__name__} # SKIP {reason}", flush=True)
            continue
        began = time.monotonic()
        why = run(case)
        print(f"{'not ok' if why else 'ok'} {number} - {case.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
        if why:
            failed = True
            print("\n".join("# " + line for line in why.splitlines()), flush=True)
    return 1 if failed else 0
