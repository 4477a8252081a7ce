"""The API servers that the suite runs on, each a context that gives a suite.Client with the definitions installed:
`ingot standalone --api-only`, and a real kube-apiserver with etcd and, when it is there, kube-controller-manager, all on
ports of the loopback that are free. What is started ends with the context, or with this process."""
import contextlib
import os
import signal
import socket
import subprocess
import sys

import suite

TOP = os.path.dirname(os.path.dirname(suite.HERE))
sys.path.insert(0, os.path.join(TOP, "test/lab"))
import cluster  # noqa: E402

INGOT = os.path.abspath(os.environ.get("INGOT") or next(
    (p for p in (f"{TOP}/build/san/ingot", f"{TOP}/build/ingot") if os.path.exists(p)), f"{TOP}/build/ingot"))


class Loopback:
    """What Cluster asks of a lab, without a namespace: processes of this machine."""

    def __init__(self):
        self.children = []

    def inside_argv(self, argv):
        return argv

    def exec(self, argv):
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def popen(self, argv, log):
        with open(log, "ab") as output:
            child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=output, start_new_session=True)
        self.children.append(child)
        return child

    def end(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


@contextlib.contextmanager
def standalone(directory):
    with open(directory + ".log", "ab") as log:
        server = subprocess.Popen([INGOT, "standalone", "--data-dir", directory, "--api-bind", "127.0.0.1:0", "--api-only"],
                                  stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        if "API server ready" not in server.stdout.readline():
            with open(directory + ".log", encoding="utf-8") as log:
                raise RuntimeError(f"{INGOT} does not start: {log.read()[-2000:]}")
        client = suite.Client(f"{directory}/kubeconfig")
        suite.install(client)
        yield client
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(suite.LIMIT_S)
        server.stdout.close()
    if code != 0:
        with open(directory + ".log", encoding="utf-8") as log:
            raise RuntimeError(f"{INGOT} ended with {code}: {log.read()[-4000:]}")


@contextlib.contextmanager
def real(directory):
    """The garbage collector learns of kinds when it starts, or half a minute later: so it starts last."""
    machine = Loopback()
    try:
        api = cluster.Cluster(machine, directory, ports=free_ports(len(cluster.PORTS)))
        api.start_etcd()
        api.start_api()
        client = suite.Client(api.admin)
        suite.install(client)
        if api.has_controllers:
            api.start_controllers("garbagecollector,namespace")
        client.controllers = api.has_controllers
        yield client
    finally:
        machine.end()
