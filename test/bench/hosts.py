"""Memory of `ingot standalone`, idle and with 10,000 hosts.

The hosts are applied through the API, as kubectl does, and are registered to available: their BMCs answer (fleet.py), so each is
polled once a minute. Their hardware comes by annotation in place of an inspection, and each has the HardwareData that an inspection
would have left.
"""
import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time

from fleet import PASSWORD, USER, address, bmcs
from rows import median, row

COUNT = int(os.environ.get("HOSTS", 10000))
IDLE_SECONDS, SETTLE_SECONDS, DEADLINE = 60, 90, 900
API = "/apis/metal3.io/v1alpha1/namespaces/default/baremetalhosts"
HARDWARE = "/apis/metal3.io/v1alpha1/namespaces/default/hardwaredata"


def smaps(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        text = file.read()
    value = {key: int(number) * 1024 for key, number in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return value["Rss"], value["Anonymous"]


def hardware(index):
    """What inspection finds on a small server: two NICs, two disks, 64 GB."""
    mac = f"52:54:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"
    return {
        "systemVendor": {"manufacturer": "Lab", "productName": "Server 2U", "serialNumber": f"SN{index:06d}"},
        "firmware": {"bios": {"vendor": "Lab", "version": "2.19.1", "date": "06/04/2023"}},
        "ramMebibytes": 65536, "hostname": f"host-{index:05d}",
        "cpu": {"arch": "x86_64", "model": "Xeon Gold 6338 CPU @ 2.00GHz", "clockMegahertz": 3200, "count": 64,
                "flags": ["aes", "avx", "avx2", "avx512f", "lm", "sse4_2", "vmx"]},
        "nics": [{"name": f"eno{n}", "model": "0x8086 0x1563", "mac": f"{mac}:{n:02x}", "speedGbps": 10, "pxe": n == 1,
                  "ip": str(f"10.{index >> 8 & 255}.{index & 255}.{n}")} for n in (1, 2)],
        "storage": [{"name": f"/dev/disk/by-path/pci-0000:00:17.0-ata-{n}", "alternateNames": [f"/dev/sd{'ab'[n]}"],
                     "rotational": False, "sizeBytes": 480103981056, "vendor": "ATA", "model": "MZ7LH480",
                     "serialNumber": f"S{index:06d}{n}", "wwn": f"0x5002538e{index:08x}", "type": "SSD"} for n in (0, 1)],
    }


def host(index, port):
    return {"apiVersion": "metal3.io/v1alpha1", "kind": "BareMetalHost",
            "metadata": {"name": f"host-{index:05d}", "namespace": "default",
                         "annotations": {"inspect.metal3.io": "disabled",
                                         "inspect.metal3.io/hardwaredetails": json.dumps(hardware(index))}},
            "spec": {"online": False, "bootMACAddress": hardware(index)["nics"][0]["mac"],
                     "bmc": {"address": f"ipmi://{address(index)}:{port}", "credentialsName": f"host-{index}-bmc"}}}


def secret(index):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"host-{index}-bmc", "namespace": "default"},
            "stringData": {"username": USER, "password": PASSWORD}}


def hardware_data(index, owner):
    return {"apiVersion": "metal3.io/v1alpha1", "kind": "HardwareData",
            "metadata": {"name": owner["metadata"]["name"], "namespace": "default", "ownerReferences": [
                {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                 "uid": owner["metadata"]["uid"]}]},
            "spec": {"hardware": hardware(index)}}


class Ingot:
    """`ingot standalone` without boot services, and connections to its API as its administrator."""

    def __init__(self, directory):
        self.data = os.path.join(directory, "data")
        self.log = open(os.path.join(directory, "log"), "w+")
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "build/ingot", "standalone", "--data-dir", self.data,
                                         "--api-bind", "127.0.0.1:0", "--log-level", "warn",
                                         "--allow-target", "127.0.0.0/8"],  # where the BMCs are
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r"https://[^ ;]+:(\d+)", line)[1])
        self.tls = self._context(directory)
        self._local = threading.local()

    def _context(self, directory):
        with open(os.path.join(self.data, "kubeconfig")) as file:
            text = file.read()
        for name in ("certificate-authority", "client-certificate", "client-key"):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(base64.b64decode(re.search(rf'{name}-data: *"?([A-Za-z0-9+/=]+)', text)[1]))
        context = ssl.create_default_context(cafile=os.path.join(directory, "certificate-authority"))
        context.load_cert_chain(os.path.join(directory, "client-certificate"), os.path.join(directory, "client-key"))
        return context

    def request(self, method, path, body=None):
        """One connection for each thread that calls."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=120)
        connection = self._local.connection
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def changes(self, path, seconds):
        """Each object there is and each change of one, by a watch, for so long."""
        end = time.monotonic() + seconds
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=seconds)
        connection.request("GET", f"{path}?watch=true&timeoutSeconds={seconds}")
        with contextlib.closing(connection), connection.getresponse() as answer:
            for line in answer:
                yield json.loads(line)["object"]
                if time.monotonic() > end:
                    return

    def outlives(self, seconds):
        """Its state after a rest of so long, in which it must not end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"ingot ended with status {self.process.wait(seconds)}")

    def memory(self):
        return smaps(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def apply_all(ingot, port):
    def apply(index):
        ingot.request("POST", "/api/v1/namespaces/default/secrets", secret(index))
        owner = ingot.request("POST", API, host(index, port))
        ingot.request("POST", HARDWARE, hardware_data(index, owner))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in pool.map(apply, range(COUNT)):
            pass


def wait_available(ingot):
    """How many are available, when all are or time is up: the memory is of interest in both cases."""
    names = set()
    for host in ingot.changes(API, DEADLINE):
        if host.get("status", {}).get("provisioning", {}).get("state") == "available":
            names.add(host["metadata"]["name"])
        if len(names) == COUNT:
            break
    return len(names)


def measure():
    directory = tempfile.mkdtemp(prefix="ingot-bench-")
    ingot = Ingot(directory)
    try:
        ingot.outlives(IDLE_SECONDS)
        rss, anonymous = ingot.memory()
        row("memory 60 s after start: anonymous", anonymous / 1e6, "MB", most=8)
        row("memory 60 s after start: RSS", rss / 1e6, "MB", most=24)
        with bmcs(COUNT) as port:
            began = time.monotonic()
            apply_all(ingot, port)
            row(f"{COUNT} hosts, their Secrets and HardwareData: POSTs, 16 at a time", time.monotonic() - began, "s")
            count = wait_available(ingot)
            row(f"{count} of {COUNT} hosts available: since the first POST", time.monotonic() - began, "s", most=600,
                note="BMCs answer (UDP, simulated, in another process); inspection replaced by the hardwaredetails annotation")
            ingot.outlives(SETTLE_SECONDS)
            rss, anonymous = zip(*(ingot.memory() for _ in range(3)))
        row(f"memory with {COUNT} hosts, polled: anonymous", median(anonymous) / 1e6, "MB", most=90)
        row(f"memory with {COUNT} hosts, polled: RSS", median(rss) / 1e6, "MB", most=110)
    finally:
        ingot.stop()
        shutil.rmtree(directory, ignore_errors=True)
