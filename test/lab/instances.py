"""Several instances of `ingot operator`, each on a machine of its own, and what they say on the wires.

A machine is a network namespace with three cables: to the provisioning network (br0), to the BMCs (bmc0) and to the API server (api0). Each
can be cut alone. The API server is `ingot standalone --api-only`, on a machine that is none of theirs; so is the image server.

The wires are recorded by a packet socket on the bridges: who sent the first packet to whom, and when, whatever a process says of itself.
"""
import contextlib
import errno
import json
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time

import watch
from lab import Lab, remove_namespace
from server import run
from site_ingot import Site

API = "10.79.0.1:6443"
LEASE = ("--leader-elect", "--lease-duration", "6", "--renew-deadline", "4", "--retry-period", "1")
# Network, bridge, and how an instance's address there begins.
CABLES = {"provisioning": ("br0", "10.77.0"), "bmcs": ("bmc0", "10.78.0"), "api": ("api0", "10.79.0")}
AGENT_PORT, BMC_PORT = 9999, 623


class Wires:
    """Who began to talk to whom: TCP connections and UDP packets on the lab's bridges, with the time of each."""

    def __init__(self, lab, *bridges):
        self.seen = []  # (time, source, destination, port)
        self._changed = threading.Condition()
        for bridge in bridges:
            lab.ip("link", "set", bridge, "promisc", "on")
            with lab.inside():
                wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            wire.bind((bridge, 0x0800))
            threading.Thread(target=self._listen, args=[wire], daemon=True).start()

    def _listen(self, wire):
        while True:
            with contextlib.suppress(OSError):
                self._take(wire.recv(128))

    def _take(self, frame):
        at, ip = time.monotonic(), frame[14:]
        head = (ip[0] & 15) * 4
        kind, segment = ip[9], ip[head:]
        if kind == 6 and segment[13] & 0x12 == 2 or kind == 17:  # SYN without ACK; UDP
            port = struct.unpack("!H", segment[2:4])[0]
            with self._changed:
                self.seen.append((at, socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20]), port))
                self._changed.notify_all()

    def times(self, source, *ports, destination=None):
        return [at for at, s, d, port in self.seen if s == source and port in ports and destination in (None, d)]

    def since(self, began, source, *ports):
        """What it began to say to these ports later: (seconds later, destination, port)."""
        return [(round(at - began, 3), d, port) for at, s, d, port in self.seen if s == source and port in ports and at > began]

    def wait(self, source, port, deadline, destination=None):
        """When this sender first used the port."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.times(source, port, destination=destination), deadline):
                raise watch.Timeout(f"{source} did not talk to port {port} within {deadline} s")
            return self.times(source, port, destination=destination)[0]


class Instance:
    """A machine, and the process on it."""

    def __init__(self, site, number):
        self.site, self.name, self.number = site, f"instance-{number}", number
        self.log = os.path.join(site.dir, self.name + ".log")
        self.namespace = f"{Lab.PREFIX}{os.getpid()}-{secrets.token_hex(2)}"
        self.process = None
        run(["ip", "netns", "add", self.namespace])
        run(["ip", "-n", self.namespace, "link", "set", "lo", "up"])
        for name in CABLES:
            self._plug(name)
        open(self.log, "ab").close()

    def _cable(self, network):
        return f"i{self.number}{network[0]}"

    def _plug(self, network):
        bridge, inside = CABLES[network][0], network[:8]
        self.site.lab.ip("link", "add", self._cable(network), "type", "veth", "peer", "name", inside, "netns", self.namespace)
        self.site.lab.ip("link", "set", self._cable(network), "master", bridge, "up")
        run(["ip", "-n", self.namespace, "link", "set", inside, "up"])
        run(["ip", "-n", self.namespace, "address", "add", f"{self.address(network)}/24", "dev", inside])

    def address(self, network="provisioning"):
        return f"{CABLES[network][1]}.{200 + self.number}"

    def cut(self, *networks):
        for network in networks or CABLES:
            self.site.lab.ip("link", "set", self._cable(network), "down")

    def mend(self, *networks):
        for network in networks or CABLES:
            self.site.lab.ip("link", "set", self._cable(network), "up")

    def slow(self, rate):
        """What it sends on the provisioning network, from now on."""
        run(["ip", "netns", "exec", self.namespace, "tc", "qdisc", "add", "dev", "provisio", "root", "tbf", "rate", rate, "burst", "64kb",
             "latency", "2s"])

    def is_bound(self, port):
        """Has somebody the TCP port, listening or not?"""
        with self.site.lab.inside(self.namespace):
            other = socket.socket()
        with other:
            try:
                other.bind((self.address(), port))
            except OSError as error:
                return error.errno == errno.EADDRINUSE
        return False

    # --- the process ---

    def start(self, *options):
        argv = [self.site.program, "operator", "--kubeconfig", self.site.kubeconfig(), *LEASE, "--provisioning-interface", "provisio",
                "--provisioning-address", self.address(), "--dhcp-range", "10.77.0.100-10.77.0.199/24", "--ramdisk", self.site.ramdisk, *options]
        self.process = self.site.lab.popen(argv, log=self.log, namespace=self.namespace)
        return self

    def wait_log(self, pattern, deadline=90):
        def look():
            with open(self.log, errors="replace") as file:
                return re.search(pattern, file.read())
        return watch.until(self.log, look, deadline, f"the log of {self.name} has no {pattern!r}")

    def leads(self, deadline=90):
        self.wait_log("to=held", deadline)
        return self

    def stands_by(self):
        self.wait_log("standing by")
        return self

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """kill -9; when it was done."""
        self.signal(signal.SIGKILL)
        at = time.monotonic()
        self.process.wait()
        return at

    def stop(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)


class Pair:
    """Mixed into a site: two instances, of which the first leads when start() is back."""

    instances = ()

    def kubeconfig(self):
        """Of the instances."""
        return f"{self.data}/kubeconfig"

    def start(self, *options):
        self.wires = Wires(self.lab, "br0", "bmc0")
        self.instances = [Instance(self, number) for number in (1, 2)]
        first, second = self.instances
        first.start(*options).leads()
        second.start(*options).stands_by()
        # Each is on the other's list, so that hosts which boot from now on know both.
        first.wait_log(f"another instance runs.*{second.address()}")
        self.log = first.log
        return first, second

    def stop(self):
        for instance in self.instances:
            instance.stop()

    def __exit__(self, *error):
        super().__exit__(*error)
        for instance in self.instances:
            remove_namespace(instance.namespace)

    # --- what tests ask ---

    def takes_over(self, since):
        """The second instance leads: seconds from then to its first packet to a BMC."""
        second = self.instances[1].leads(self.kind.patience)
        seconds = self.wires.wait(second.address("bmcs"), BMC_PORT, self.kind.patience) - since
        print(f"# asks the BMC {seconds:.1f} s later", flush=True)
        return seconds

    def calls_agent(self, since):
        """Likewise to its first connection to an agent, by which it goes on with what the HostRecord says."""
        second = self.instances[1]
        seconds = self.wires.wait(second.address(), AGENT_PORT, self.kind.patience) - since
        print(f"# calls the agent {seconds:.1f} s later", flush=True)
        second.wait_log("operation resumed", self.kind.patience)
        return seconds

    def host_record(self, name):
        return json.loads(self.kubectl("get", "hostrecord", name, "-o", "json"))["spec"]

    def image_requests(self):
        with open(os.path.join(self.dir, "images.log"), encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.startswith("{")]

    def connect(self, address, port):
        """As a host on the provisioning network: "taken" or "refused"."""
        with self.lab.inside():
            client = socket.socket()
        with client:
            client.settimeout(10)
            return "refused" if client.connect_ex((address, port)) == errno.ECONNREFUSED else "taken"


class InstancesSite(Pair, Site):
    """A pair on `ingot standalone --api-only`."""

    api_bind = API

    def start(self, *options):
        self.start_api()
        return super().start(*options)
