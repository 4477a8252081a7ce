"""The standalone API beside kube-apiserver with etcd, both with fsync on the same file system, asked by the same client (test/bench/api.c).

The two take turns, so that what else the machine does meets both. BareMetalHosts with the CRD of this tree, which both validate by.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from rows import median, row

sys.path.insert(0, "test/lab")
import cluster  # noqa: E402
from hosts import smaps  # noqa: E402
from lab import Lab  # noqa: E402

PROGRAM = "build/release/bench_api"
HOSTS = "/apis/metal3.io/v1alpha1/namespaces/default/baremetalhosts"
CONNECTIONS, ROUNDS, EACH, TOTAL, LISTS, WATCHERS, CHANGES = 16, 5, 1000, 10000, 5, 100, 500


class Side:
    """One API server: where it is, who may ask, and its processes."""

    def __init__(self, lab, port, ca, cert, key, processes):
        self.lab, self.processes = lab, processes
        self.argv = [PROGRAM, str(port), ca, cert, key]
        self.url, self.tls = f"https://127.0.0.1:{port}", ["--cacert", ca, "--cert", cert, "--key", key]

    def client(self, *arguments):
        return json.loads(self.lab.exec([*self.argv, *map(str, arguments)], deadline=600))

    def version(self):
        text = self.lab.exec(["curl", "-sS", "--fail", *self.tls, f"{self.url}{HOSTS}?limit=1"])
        return json.loads(text)["metadata"]["resourceVersion"]

    def rate(self, verb, first, count):
        found = self.client(verb, first, count, CONNECTIONS)
        return count / found["seconds"], found["cpu"] / found["seconds"]

    def memory(self):
        """RSS and anonymous, in bytes."""
        return [sum(part) for part in zip(*(smaps(p.pid) for p in self.processes))]

    def watched(self, first, count):
        """What the watchers took to see so many hosts change, which have not been changed before; each of them every one, or
        this fails."""
        watch = self.lab.popen([*self.argv, "watch", str(count), str(WATCHERS), self.version()], stdout=subprocess.PIPE, text=True)
        if watch.stdout.readline().strip() != "watching":
            raise RuntimeError("the watchers did not start")
        self.client("patch", first, count, CONNECTIONS)
        found = json.loads(watch.communicate(timeout=300)[0])
        if found["sum"] != sum(range(first, first + count)):
            raise RuntimeError(f"the watchers saw other changes than were made: {found}")
        return found


def standalone(lab, directory):
    data = directory + "/data"
    process = lab.popen([os.path.abspath("build/ingot"), "standalone", "--api-only", "--data-dir", data, "--api-bind", "127.0.0.1:7443", "--log-level",
                         "warn"], stdout=subprocess.PIPE, text=True)
    if not re.search("API server ready", process.stdout.readline()):
        raise RuntimeError("ingot standalone did not start")
    return Side(lab, 7443, f"{data}/pki/ca.crt", f"{data}/pki/admin.crt", f"{data}/pki/admin.key", [process])


def peer(lab, directory):
    real = cluster.Cluster(lab, directory + "/cluster")
    etcd = real.start_etcd(fsync=True)
    api = real.start_api()
    real.kubectl("apply", "-f", "crds")
    real.kubectl("wait", "--for", "condition=Established", "--timeout=60s", "crd", "--all")
    path = real.pki.path
    return Side(lab, 6443, path("ca.crt"), path("admin.crt"), path("admin.key"), [etcd, api])


def rates(ours, theirs, verb, first_of):
    """Rounds in turn, as create needs new names each time."""
    pairs = [(ours.rate(verb, first_of(n), EACH), theirs.rate(verb, first_of(n), EACH)) for n in range(ROUNDS)]
    mine, real = median([p[0][0] for p in pairs]), median([p[1][0] for p in pairs])
    row(f"{verb}, kube-apiserver and etcd", real, "/s")
    row(f"{verb}, standalone", mine, "/s",
        note=f"{ROUNDS} rounds of {EACH}, {CONNECTIONS} connections; the client took {median([p[0][1] for p in pairs]) * 100:.0f} % of a core")
    row(f"{verb}: ratio", median([p[0][0] / p[1][0] for p in pairs]), "", least=3)


def lists(ours, theirs):
    pairs = [(ours.client("list", TOTAL), theirs.client("list", TOTAL)) for _ in range(LISTS)]
    row(f"list of {TOTAL}, kube-apiserver and etcd", median([p[1]["seconds"] for p in pairs]), "s", note=f"{pairs[0][1]['bytes'] / 1e6:.1f} MB")
    row(f"list of {TOTAL}, standalone", median([p[0]["seconds"] for p in pairs]), "s", note=f"{pairs[0][0]['bytes'] / 1e6:.1f} MB")
    row(f"list of {TOTAL}: ratio", median([p[0]["seconds"] / p[1]["seconds"] for p in pairs]), "", most=1 / 3)


def memory(ours, theirs, when):
    mine, real = ours.memory(), theirs.memory()
    row(f"memory {when}, kube-apiserver and etcd: RSS", real[0] / 1e6, "MB", note=f"anonymous {real[1] / 1e6:.1f} MB")
    row(f"memory {when}, standalone: RSS", mine[0] / 1e6, "MB", note=f"anonymous {mine[1] / 1e6:.1f} MB")
    row(f"memory {when}: ratio", mine[0] / real[0], "", most=0.1)


def watches(ours, theirs):
    for side, name in ((theirs, "kube-apiserver and etcd"), (ours, "standalone")):
        found = side.watched(ROUNDS * EACH, CHANGES)
        row(f"{WATCHERS} watchers, {CHANGES} changes, {name}: all seen by all after", found["seconds"], "s",
            note=f"{WATCHERS * CHANGES} events, none lost and none twice (each watcher's count and sum); "
                 f"{found['resumed']} watches were ended by the server and resumed")


def measure():
    if cluster.missing():
        row("standalone API beside kube-apiserver", None, "", least=3, note=cluster.missing())
        return
    os.makedirs("build/bench", exist_ok=True)
    directory = tempfile.mkdtemp(prefix="api-", dir=os.path.abspath("build/bench"))
    try:
        with Lab(directory + "/lab") as lab:
            ours, theirs = standalone(lab, directory), peer(lab, directory)
            memory(ours, theirs, "at the start")
            rates(ours, theirs, "create", lambda n: n * EACH)
            rates(ours, theirs, "get", lambda n: n * EACH)
            rates(ours, theirs, "patch", lambda n: n * EACH)
            for side in (ours, theirs):
                side.client("create", ROUNDS * EACH, TOTAL - ROUNDS * EACH, CONNECTIONS)
            lists(ours, theirs)
            watches(ours, theirs)
            memory(ours, theirs, f"with {TOTAL} hosts")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
