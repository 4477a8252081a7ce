"""A site for tests: the lab's namespace with an Ingot, an image server and servers in it, driven by kubectl.

What a person does is done as a person would: YAML through kubectl. What is claimed is held against what the lab saw.
"""
import base64
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time

import watch
from follow import Follow
from lab import Lab

ADDRESS = "10.77.0.1"
IMAGE_PORT = 8180
# The lab's BMCs have addresses of the machine that Ingot runs on.
BMCS_ARE_OURS = ("--allow-target", "10.78.0.0/24")


class Site:
    api_bind = "127.0.0.1:6443"
    address = ADDRESS  # of Ingot and of the image server
    lab_options = {}
    network_options = ("--provisioning-address", ADDRESS, *BMCS_ARE_OURS)
    range_options = ("--dhcp-range", "10.77.0.100-10.77.0.199/24")

    def __init__(self, directory, images, program="build/ingot", ramdisk="build/ramdisk/virt", options=()):
        self.dir = os.path.abspath(directory)
        self.images = os.path.join(self.dir, "images")  # what the image server serves: links to files in the given directory
        self._stock = os.path.abspath(images)
        self.program, self.ramdisk, self.options = os.path.abspath(program), os.path.abspath(ramdisk), list(options)
        self.lab = Lab(os.path.join(self.dir, "lab"), **self.lab_options)
        self.ingot = self._watch = None
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "ingot.log")
        self.faults = os.path.join(self.dir, "faults.json")

    def __enter__(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.images)
        for name in os.listdir(self._stock):
            os.symlink(os.path.join(self._stock, name), os.path.join(self.images, name))
        self.image_fault()
        self.lab.__enter__()
        here = os.path.dirname(os.path.abspath(__file__))
        self.lab.popen(["python3", os.path.join(here, "images.py"), self.address, str(IMAGE_PORT), self.images, self.faults],
                       log=os.path.join(self.dir, "images.log"))
        return self

    def __exit__(self, *_):
        self.stop()
        self.lab.close()

    # --- Ingot ---

    def _manager_options(self):
        options = ["--provisioning-interface", "br0", "--ramdisk", self.ramdisk, *self.network_options, *self.options]
        return options if "--dhcp" in options else [*options, *self.range_options]

    def _serve(self, *options):
        """A process that serves the API; back when it does."""
        argv = [self.program, "standalone", "--data-dir", self.data, "--api-bind", self.api_bind, *options]
        with open(self.log, "ab") as log:
            process = self.lab.popen(argv, stdout=subprocess.PIPE, stderr=log)
        if "ready" not in process.stdout.readline().decode():
            raise RuntimeError(f"Ingot did not start; end of its log:\n{self.log_end()}")
        return process

    def start(self):
        self.ingot = self._serve(*self._manager_options())

    def start_apart(self):
        """An API server, and an operator as its client: two processes, as on a cluster."""
        self.start_api()
        self.ingot = self.lab.popen([self.program, "operator", "--kubeconfig", f"{self.data}/kubeconfig", *self._manager_options()],
                                    log=self.log)

    def start_api(self):
        self.api = self._serve("--api-only")

    def kill_api(self):
        self.api.kill()
        self.api.wait()

    def outlives(self, seconds):
        """Ingot must not end in this time, in which the test keeps a fault up."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.ingot.wait(seconds)
            raise AssertionError(f"Ingot ended with status {status}; end of its log:\n{self.log_end()}")

    def pid(self):
        """Of Ingot itself: `ip netns exec` and setpriv have become it by exec."""
        return self.ingot.pid

    def kill(self):
        self.ingot.kill()
        self.ingot.wait()

    def stop(self):
        if self.ingot and self.ingot.poll() is None:
            self.ingot.terminate()
            self.ingot.wait(30)

    def log_end(self, size=3000):
        with open(self.log, "rb") as log:
            return log.read()[-size:].decode(errors="replace")

    def log_text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def wait_log(self, pattern, deadline):
        """Until Ingot's log has a line that matches."""
        return watch.until(self.log, lambda: re.search(pattern, self.log_text()), deadline, f"Ingot's log has no {pattern!r}")

    def memory(self):
        """Resident and anonymous bytes of Ingot, from smaps_rollup."""
        with open(f"/proc/{self.pid()}/smaps_rollup") as file:
            text = file.read()
        value = {key: int(number) * 1024 for key, number in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
        return value["Rss"], value["Anonymous"]

    # --- kubectl ---

    def kubectl(self, *arguments, stdin=None, deadline=60):
        argv = self.lab.inside_argv(["kubectl", "--kubeconfig", f"{self.data}/kubeconfig", *arguments])
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=deadline)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin="\n".join(map(json.dumps, objects)))

    def host(self, name):
        return json.loads(self.kubectl("get", "bmh", name, "-o", "json"))

    def until_object(self, kind, name, condition, deadline, what):
        """The object once the condition holds, by a watch of the API. Ingot's log cannot tell when: it has its line before the write."""
        with contextlib.closing(Follow(self, kind)) as follow:
            return follow.until(name, condition, deadline, what)[1]

    def until_event(self, name, words, deadline):
        """An Event about this object whose reason or message has the words. Events leave beside the writes that they tell of, in no order."""
        with contextlib.closing(Follow(self, "events")) as follow:
            return follow.wait(lambda _, e: e["involvedObject"]["name"] == name and words in e["reason"] + " " + e["message"], deadline,
                               f"{name}: no Event with {words!r}")[1]

    def watch(self, name=None):
        """Starts to watch one host, or all; an iterator of (seconds since the call, host) for each as it is and for each change that the
        API shows, for ever. By selector: kubectl loses a change that falls between its get and its watch of a name."""
        which = [f"--field-selector=metadata.name={name}"] if name else []
        argv = self.lab.inside_argv(["kubectl", "--kubeconfig", f"{self.data}/kubeconfig", "get", "bmh", *which, "-w",
                                     "-o", "jsonpath-as-json={@}"])
        self._watch = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        return self._changes(self._watch, time.monotonic())

    @staticmethod
    def _changes(process, began):
        text = ""
        try:
            for line in process.stdout:
                text += line
                if line.startswith("]"):
                    shown = json.loads(text)[0]
                    for host in shown.get("items", [shown]):  # first the list, then what changes
                        yield time.monotonic() - began, host
                    text = ""
        finally:
            process.kill()
            process.wait()

    def end_watch(self):
        """From another thread: the watch ends, as if the server had ended it."""
        self._watch.kill()

    # --- the image server ---

    def image_fault(self, **fault):
        """What is wrong with it from now on (images.py); nothing: all is well. Always the same length, written at once: readers
        see the old text or the new one."""
        fd = os.open(self.faults, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, json.dumps(fault).ljust(200).encode(), 0)
        os.close(fd)

    def wait_image_log(self, condition, deadline=120):
        path = os.path.join(self.dir, "images.log")

        def look():
            with open(path) as file:
                return next((True for line in file if line.startswith("{") and condition(json.loads(line))), None)
        watch.until(path, look, deadline, "the image server's log does not say so")

    # --- objects ---

    def credentials(self, server, password=None):
        return secret(f"{server.name}-bmc", username=server.bmc_user, password=password or server.bmc_password)

    def bare_metal_host(self, server, image=None, user_data=None, annotations=None, **spec):
        body = {"online": True, "bootMACAddress": server.mac, "bootMode": "legacy" if server.firmware == "bios" else "UEFI",
                "bmc": {"address": server.bmc_url, "credentialsName": f"{server.name}-bmc"}, **spec}
        if image:
            body["image"] = image
        if user_data:
            body["userData"] = {"name": user_data}
        return {"apiVersion": "metal3.io/v1alpha1", "kind": "BareMetalHost",
                "metadata": {"name": server.name, "namespace": "default", "annotations": annotations or {}}, "spec": body}

    def add_image(self, name, make):
        """One more image: make(path) makes it."""
        path = os.path.join(self.images, name)
        make(path)
        with open(path, "rb") as image, open(path + ".sha256", "w") as out:
            out.write(hashlib.file_digest(image, "sha256").hexdigest())

    def image(self, name, **more):
        with open(os.path.join(self.images, name + ".sha256")) as file:
            checksum = file.read().split()[0]
        host = f"[{self.address}]" if ":" in self.address else self.address
        return {"url": f"http://{host}:{IMAGE_PORT}/{name}", "checksum": checksum, "checksumType": "sha256",
                "format": "qcow2" if name.endswith(".qcow2") else "raw", **more}


class SixSite(Site):
    """The same without IPv4."""
    api_bind = "[::1]:6443"
    address = "fd77::1"
    lab_options = {"v6": True}
    network_options = ("--provisioning-address", address, "--allow-target", "fd78::/64")
    range_options = ("--dhcp-range", "fd77::100-fd77::1ff/64", "--router-adverts")


class LinkLocalSite(SixSite):
    """BMCs by link-local addresses."""
    network_options = (*SixSite.network_options, "--allow-target", "fe80::/64")


class DualSite(Site):
    """Both families on one wire; BMCs by IPv4."""
    network_options = ("--provisioning-address", f"{ADDRESS},{SixSite.address}", *BMCS_ARE_OURS)
    range_options = (*Site.range_options, *SixSite.range_options)


def secret(name, **values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "stringData": values}


class Tenant:
    """What a tenant puts on its server, random per run: it must come back on the server's own console."""

    def __init__(self, name):
        self.nonce = secrets.token_hex(8)
        self.hostname = f"{name}-{secrets.token_hex(3)}"
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + secrets.token_bytes(32)
        self.key = "ssh-ed25519 " + base64.b64encode(blob).decode()

    def objects(self, prefix):
        cloud_config = f"#cloud-config\nbootcmd:\n- [lab-report, {self.nonce}]\n"
        meta = json.dumps({"hostname": self.hostname, "local-hostname": self.hostname, "local_hostname": self.hostname,
                           "name": self.hostname, "public_keys": {"demo": self.key}})
        return [secret(f"{prefix}-user-data", userData=cloud_config), secret(f"{prefix}-meta-data", metaData=meta)]

    def pattern(self, firmware):
        return (rf"LAB-REPORT nonce={self.nonce} host={self.hostname} firmware={firmware} .*"
                rf"key={re.escape(self.key)}")
