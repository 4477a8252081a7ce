"""A real Ironic in the lab's namespace, all in one process on SQLite, with what a site has beside it: a DHCP server that knows iPXE, an
HTTP server for boot files, the image server, and Ingot's ramdisk as deploy ramdisk. No Ingot runs here.

The Ironic is a tree of packages (hack/peer-ironic), entered by chroot in a mount namespace of its own.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lab"))
import watch  # noqa: E402
from lab import Lab  # noqa: E402
from site_ingot import ADDRESS, IMAGE_PORT  # noqa: E402

API, BOOT_PORT, STATE = f"http://{ADDRESS}:6385", 8080, "/var/lib/ironic"

CONFIG = f"""
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
my_ip = {ADDRESS}
host = lab
state_path = {STATE}
enabled_hardware_types = ipmi
enabled_boot_interfaces = ipxe
enabled_deploy_interfaces = direct
enabled_inspect_interfaces = agent
enabled_management_interfaces = ipmitool
enabled_power_interfaces = ipmitool
enabled_network_interfaces = noop
default_network_interface = noop
force_raw_images = False
default_boot_mode = bios
# Changes of a node are noticed by the log, which therefore must not tell of the questions of the test.
debug = True
default_log_levels = eventlet.wsgi.server=WARN,sqlalchemy=WARN,urllib3=WARN,stevedore=WARN,ironic.api=WARN
[api]
host_ip = {ADDRESS}
[service_catalog]
endpoint_override = {API}
[database]
connection = sqlite:///{STATE}/ironic.sqlite
[dhcp]
dhcp_provider = none
[conductor]
api_url = {API}
automated_clean = True
sync_power_state_interval = 10
[deploy]
http_url = http://{ADDRESS}:{BOOT_PORT}
http_root = {STATE}/http
erase_devices_priority = 0
default_boot_mode = bios
[agent]
image_download_source = http
deploy_logs_collect = never
require_tls = True
[pxe]
tftp_server = {ADDRESS}
tftp_root = {STATE}/tftp
tftp_master_path = {STATE}/tftp/master
images_path = {STATE}/images
instance_master_path = {STATE}/master
ipxe_timeout = 0
kernel_append_params = console=ttyS0,115200
[oslo_concurrency]
lock_path = {STATE}/lock
"""

DNSMASQ = f"""
port=0
interface=br0
bind-interfaces
dhcp-authoritative
no-ping
dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h
dhcp-match=set:ipxe,175
dhcp-boot=tag:ipxe,http://{ADDRESS}:{BOOT_PORT}/boot.ipxe
"""

# Enters the tree: its own mounts, the network namespace of the lab.
ENTER = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'


class IronicSite:
    """images and ramdisk are directories, tree is Ironic's root directory, which keeps nothing from one site to the next."""

    def __init__(self, directory, images, tree, ramdisk="build/ramdisk/virt"):
        self.dir = os.path.abspath(directory)
        self.images, self.tree, self.ramdisk = os.path.abspath(images), os.path.abspath(tree), os.path.abspath(ramdisk)
        self.lab = Lab(os.path.join(self.dir, "lab"))
        self.log = os.path.join(self.dir, "ironic.log")

    def __enter__(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.served = os.path.join(self.dir, "images")
        os.makedirs(self.served)
        for name in os.listdir(self.images):
            os.symlink(os.path.join(self.images, name), os.path.join(self.served, name))
        for name in ("vmlinuz", "initramfs"):
            os.symlink(os.path.join(self.ramdisk, name), os.path.join(self.served, name))
        self.faults = os.path.join(self.dir, "faults.json")
        with open(self.faults, "w") as file:
            file.write("{}")
        self.lab.__enter__()
        return self

    def __exit__(self, *_):
        self.lab.close()

    # --- services ---

    def start(self):
        self._prepare_tree()
        self._run_in_tree(["ironic-dbsync", "--config-file", "/etc/ironic/lab.conf", "create_schema"])
        images = os.path.join(HERE, "../lab/images.py")
        self.lab.popen(["python3", images, ADDRESS, str(IMAGE_PORT), self.served, self.faults], log=os.path.join(self.dir, "images.log"))
        self.lab.popen(["python3", "-m", "http.server", "--bind", ADDRESS, "--directory", f"{self.tree}{STATE}/http", str(BOOT_PORT)],
                       log=os.path.join(self.dir, "boot-files.log"))
        with open(os.path.join(self.dir, "dnsmasq.conf"), "w") as file:
            file.write(DNSMASQ)
        self.lab.popen(["dnsmasq", "--keep-in-foreground", "--user=root", f"--conf-file={self.dir}/dnsmasq.conf",
                        f"--dhcp-leasefile={self.dir}/leases", f"--pid-file={self.dir}/dnsmasq.pid"],
                       log=os.path.join(self.dir, "dnsmasq.log"))
        open(self.log, "w").close()
        self.lab.popen(self._in_tree(["ironic", "--config-file", "/etc/ironic/lab.conf"]), log=self.log)
        self.until("Ironic's API answers and the driver is enabled", self._driver_enabled, 300)

    def _prepare_tree(self):
        state = self.tree + STATE
        shutil.rmtree(state, ignore_errors=True)
        for name in ("http", "tftp", "images", "master", "lock"):
            os.makedirs(os.path.join(state, name))
        for name in ("etc/ironic", "proc", "dev"):
            os.makedirs(os.path.join(self.tree, name), exist_ok=True)
        with open(os.path.join(self.tree, "etc/ironic/lab.conf"), "w") as file:
            file.write(CONFIG)

    def _in_tree(self, argv):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, self.tree, *argv]

    def _run_in_tree(self, argv):
        self.lab.exec(self._in_tree(argv), deadline=300)

    def _driver_enabled(self):
        with contextlib.suppress(OSError):
            return self.get("/v1/drivers")["drivers"] or None
        return None

    # --- its API ---

    def call(self, method, path, body=None):
        request = urllib.request.Request(API + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json", "X-OpenStack-Ironic-API-Version": "1.95"})
        with self.lab.inside():
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
            except urllib.error.HTTPError as error:
                raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None
        return json.loads(text) if text else None

    def get(self, path):
        return self.call("GET", path)

    def enroll(self, server, image):
        """A node and its port in one call each: no PATCH, which Debian's Ironic 29 answers by locking the node for good (`parent_node`)."""
        with open(os.path.join(self.images, image + ".sha256")) as file:
            digest = file.read().split()[0]
        images = f"http://{ADDRESS}:{IMAGE_PORT}"
        node = self.call("POST", "/v1/nodes", {
            "name": server.name, "driver": "ipmi",
            "driver_info": {"ipmi_address": server.bmc_address, "ipmi_username": server.bmc_user, "ipmi_password": server.bmc_password,
                            "ipmi_cipher_suite": "3", "deploy_kernel": f"{images}/vmlinuz", "deploy_ramdisk": f"{images}/initramfs"},
            "instance_info": {"image_source": f"{images}/{image}", "image_os_hash_algo": "sha256", "image_os_hash_value": digest,
                              "image_disk_format": "qcow2", "image_type": "whole-disk"},
            "properties": {"capabilities": "boot_mode:bios", "cpu_arch": "x86_64"}})
        self.call("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": server.mac, "pxe_enabled": True})

    def target(self, server, verb, state, deadline, **more):
        """Sends a verb and waits for the state; a failed state, or an error that Ironic reports, ends the wait."""
        self.call("PUT", f"/v1/nodes/{server.name}/states/provision", {"target": verb, **more})

        def look():
            node = self.get(f"/v1/nodes/{server.name}")
            if "failed" in node["provision_state"] or node["last_error"] and not node["target_provision_state"]:
                raise AssertionError(f"{verb}: {node['provision_state']}: {node['last_error']}; end of the console: {server.console()[-2500:]}")
            return node if node["provision_state"] == state and not node["target_provision_state"] else None
        return self.until(f"{verb}: state {state}", look, deadline)

    def until(self, what, look, deadline):
        """Looks at each line that Ironic logs."""
        return watch.until(self.log, look, deadline, what)

    def log_end(self, size=4000):
        with open(self.log, "rb") as log:
            return log.read()[-size:].decode(errors="replace")


def tree(which):
    """The root directory of an Ironic, unpacked when it is not there."""
    path = os.path.abspath(f"build/peers/ironic-{which}")
    subprocess.run([os.path.join(HERE, "../../hack/peer-ironic"), which, path], check=True, stdout=sys.stderr)
    return path
