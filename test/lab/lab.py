#!/usr/bin/python3
"""Virtual servers with BMCs, in a network namespace of their own.

Each server is a QEMU process that its BMC, an ipmi_sim, starts and stops; so whoever speaks IPMI to
the BMC owns the server as with real hardware. Everything that happens to a server goes into files
that the code under test does not write, for tests to hold against its claims:

  DIR/NAME/console.log   the serial console over all boots
  DIR/NAME/chassis.log   power and boot commands, one JSON object a line, with time and origin
  DIR/NAME/events.log    QEMU's events (RESET, SHUTDOWN, ..), START and EXIT of QEMU, one BOOT per
                         boot with the order it was given, WRITTEN with the bytes written per disk
                         so far

As a library:

    with Lab(directory) as lab:
        node = lab.server("node1", firmware="bios", memory=512, disk="8G")
        lab.exec(["ipmitool", "-C", "3", ...])
        node.wait_console("login:", 60)

As a program (the command runs in the namespace and finds the servers in $LAB_JSON):

    lab.py run --dir DIR --server name=node1,firmware=uefi,disk=8G -- command ...
    lab.py exec DIR -- command ...           (while the former runs)

Needs root and Debian's qemu-system-x86 qemu-utils ovmf ipxe-qemu openipmi iproute2 util-linux.
"""
import argparse
import atexit
import concurrent.futures
import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from native import NativeServer  # noqa: E402
from qmp import QmpError  # noqa: E402
from server import Disk, LabError, Server, run  # noqa: E402
from watch import Timeout  # noqa: E402


class ChassisHandler(socketserver.StreamRequestHandler):
    """One request of the chassis program: SERVER get|set WHAT [VALUE], separated by NUL."""

    def handle(self):
        name, verb, what, *value = self.rfile.read().decode().split("\0")
        try:
            server = self.server.lab.servers[name]
            answer = b"ok" + self.answer(server, verb, what, value[0] if value else "").encode()
        except (LabError, QmpError, KeyError) as error:
            answer = str(error).encode()
        with contextlib.suppress(BrokenPipeError):  # the BMC was stopped while it asked
            self.wfile.write(answer)

    @staticmethod
    def answer(server, verb, what, value):
        if server.chassis_fault:
            fault = server.chassis_fault(verb, what)
            if fault == "error":
                raise LabError("fault wanted by the test")
            if fault is not None:
                return fault
        if verb == "get":
            return {"power": lambda: f"power:{int(server.powered())}\n",
                    "boot": lambda: f"boot:{server._boot}\n"}[what]()
        actions = {("power", "1"): server.power_on, ("power", "0"): server.power_off,
                   ("reset", "1"): server.reset, ("shutdown", "1"): server.soft_off}
        if what == "boot":
            server.set_boot(value, by="ipmi")
        elif what == "medium" and value:
            server.insert_medium(value, by="bmc")
        elif what == "medium":
            server.eject_medium(by="bmc")
        elif what == "identify":
            server.chassis.add(by="ipmi", set="identify", value=value)
        else:
            actions[(what, value)](by="ipmi")
        return ""


class Lab:
    """The namespace: br0 (10.77.0.1/24, fd77::1/64) carries the servers' NICs, bmc0 (10.78.0.1/24)
    the BMCs' addresses, api0 (10.79.0.1/24) machines that reach an API server from outside. The code under test runs inside and has
    the .1 addresses. With v6 there is no IPv4 but that of lo: bmc0 has fd78::1/64."""

    PREFIX = "ingot-lab-"

    def __init__(self, directory, v6=False):
        self.dir = os.path.abspath(directory)
        self.v6 = v6
        self.name = f"{self.PREFIX}{os.getpid()}-{secrets.token_hex(2)}"
        self.servers = {}
        self._children = []
        self._closed = True
        # A path of a unix socket must be short.
        self._run = tempfile.mkdtemp(prefix="lab-")
        self.socket_path = os.path.join(self._run, "s")
        # Children die with the thread that made them (see popen), so one that lasts makes them all.
        self._spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    def __enter__(self):
        if os.geteuid() != 0:
            raise LabError("the lab needs root, for network namespaces")
        self._closed = False
        atexit.register(self.close)
        self._catch_signals()
        try:
            sweep()
            os.makedirs(self.dir, exist_ok=True)
            self._create_namespace()
            self._serve_chassis()
            self._write_json()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def server(self, name, firmware="bios", memory=512, disk="8G", disks=None, nics=1, cdrom=False,
               cpus=1, nic_rom=None, netboot="pxe", extra=(), bmc="ipmi"):
        """A server, switched off, and its running BMC.

        disk is the size of a single virtio disk; disks, a list of Disk, replaces it. netboot tells
        which network stacks of OVMF are on: "pxe", "http" or "any". nic_rom overrides whether the
        NIC has its iPXE ROM (BIOS yes, UEFI no). extra are further arguments for QEMU, such as
        -kernel, -initrd and -append to boot without a network. bmc is "ipmi" or "redfish" (redfish_bmc.py).
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name) or name in self.servers:
            raise LabError(f"{name!r} is no name for a new server")
        shutil.rmtree(os.path.join(self.dir, name), ignore_errors=True)
        server = Server(self, len(self.servers) + 1, name, firmware, memory, disks or [Disk(disk)],
                        nics, cdrom, cpus, nic_rom, netboot,
                        extra, bmc)
        self.servers[name] = server
        self._write_json()
        return server

    def native(self, name, memory=512, disk=None, bmc="ipmi"):
        """A server without a virtual machine (native.py), switched off, and its running BMC."""
        shutil.rmtree(os.path.join(self.dir, name), ignore_errors=True)
        server = NativeServer(self, len(self.servers) + 1, name, memory, [disk or Disk("5G")], bmc)
        self.servers[name] = server
        self._write_json()
        return server

    # --- running things inside ---

    def inside_argv(self, argv, namespace=None):
        return ["ip", "netns", "exec", namespace or self.name, *argv]

    def exec(self, argv, deadline=60, **options):
        """Output of a command inside, which must succeed."""
        try:
            return run(self.inside_argv(argv), timeout=deadline, **options)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{' '.join(argv)}: not done within {deadline} s") from None

    def popen(self, argv, log=None, namespace=None, **options):
        """Starts a command inside (or in another namespace), which ends at the latest with the lab. It dies even when this
        process is killed: the kernel sends the signal when the thread that forked is gone."""
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *self.inside_argv(argv, namespace)]
        output = open(log, "ab") if log else None
        try:
            child = self._spawner.submit(
                subprocess.Popen, argv, stdin=subprocess.DEVNULL, start_new_session=True,
                stdout=options.pop("stdout", output), stderr=options.pop("stderr", output),
                **options).result()
        finally:
            if output:
                output.close()
        self._children.append(child)
        return child

    @contextlib.contextmanager
    def inside(self, namespace=None):
        """Sockets that this thread makes in this block belong to the namespace, also afterwards."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as old, \
                open(f"/run/netns/{namespace or self.name}", "rb") as new:
            if libc.setns(new.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(old.fileno(), 0x40000000)

    def ip(self, *arguments):
        return run(["ip", "-n", self.name, *arguments])

    # --- set-up and clean-up ---

    def _create_namespace(self):
        run(["ip", "netns", "add", self.name])
        self.ip("link", "set", "lo", "up")
        for bridge in ("br0", "bmc0", "api0"):
            # LLDP frames pass (bit 14); everything else about the bridge is a plain switch.
            self.ip("link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0",
                    "group_fwd_mask", "0x4000")
            self.ip("link", "set", bridge, "up")
        self.ip("address", "add", "fd77::1/64", "dev", "br0", "nodad")
        if self.v6:
            self.ip("address", "add", "fd78::1/64", "dev", "bmc0", "nodad")
            return
        self.ip("address", "add", "10.77.0.1/24", "dev", "br0")
        self.ip("address", "add", "10.78.0.1/24", "dev", "bmc0")
        self.ip("address", "add", "10.79.0.1/24", "dev", "api0")

    def _serve_chassis(self):
        self._chassis = socketserver.ThreadingUnixStreamServer(self.socket_path, ChassisHandler)
        self._chassis.daemon_threads = True
        self._chassis.lab = self
        threading.Thread(target=self._chassis.serve_forever, daemon=True).start()

    def _write_json(self):
        data = {"namespace": self.name, "pid": os.getpid(), "address": "10.77.0.1",
                "network": "10.77.0.0/24", "interface": "br0", "bmc_network": "10.78.0.0/24",
                "servers": [server.describe() for server in self.servers.values()]}
        path = os.path.join(self.dir, "lab.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        os.replace(path + ".new", path)

    def _catch_signals(self):
        """A signal becomes an exception, so that the clean-up of every with and finally runs."""
        if threading.current_thread() is not threading.main_thread():
            return
        def leave(number, _):
            raise SystemExit(128 + number)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)

    def close(self):
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for server in self.servers.values():
            with contextlib.suppress(LabError, QmpError):
                server.close()
        for child in self._children:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if hasattr(self, "_chassis"):
            self._chassis.shutdown()
            self._chassis.server_close()
        remove_namespace(self.name)
        self._spawner.shutdown()
        shutil.rmtree(self._run, ignore_errors=True)


def remove_namespace(name):
    """The processes left in a namespace of ours are ours: it was made for them."""
    if not os.path.exists(f"/run/netns/{name}"):
        return
    try:
        for pid in run(["ip", "netns", "pids", name]).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run(["ip", "netns", "del", name])
    except LabError:
        if os.path.exists(f"/run/netns/{name}"):  # else another lab that begins has swept it
            raise


def sweep():
    """Removes the namespaces of labs whose process was killed before it could."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        match = re.fullmatch(re.escape(Lab.PREFIX) + r"(\d+)-[0-9a-f]+", name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            remove_namespace(name)


# --- disks that hold a system ---------------------------------------------------------------------

def config_drive(path, files):
    """An ISO with the label config-2; files maps paths below openstack/latest to bytes or JSON."""
    with tempfile.TemporaryDirectory() as tree:
        for name, content in files.items():
            target = os.path.join(tree, "openstack/latest", name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content if isinstance(content, bytes) else json.dumps(content).encode())
        run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", "-J", "-r", "-o", path, tree])


def install_image(server, image, files, disk=0):
    """Puts an image and a config drive on a disk of a server that is off, as a deployment would."""
    target = server.disks[disk]
    run(["cp", "--sparse=always", image, target.path])
    os.truncate(target.path, target.size)
    run(["sgdisk", "-e", "-n", "0:-64M:0", "-c", "0:config-2", target.path])
    table = run(["sgdisk", "-p", target.path])
    start = next(line.split()[1] for line in table.splitlines() if line.endswith("config-2"))
    iso = server.path("config-2.iso")
    config_drive(iso, files)
    run(["dd", f"if={iso}", f"of={target.path}", "bs=512", f"seek={start}", "conv=notrunc"])


# --- command line ---------------------------------------------------------------------------------

def server_options(text):
    """name=a,firmware=uefi,memory=1024,disk=8G,bus=scsi,fill=64M,nics=2,cdrom=1,netboot=http"""
    options = dict(part.split("=", 1) for part in text.split(","))
    name = options.pop("name", None)
    if not name:
        raise LabError(f"--server {text}: no name=")
    disk = Disk(options.pop("disk", "8G"), bus=options.pop("bus", "virtio"),
                fill=options.pop("fill", 0))
    for number in ("memory", "nics", "cpus", "cdrom"):
        if number in options:
            options[number] = int(options[number])
    return name, {**options, "disks": [disk]}


def command_run(arguments):
    with Lab(arguments.dir) as lab:
        for text in arguments.server:
            name, options = server_options(text)
            lab.server(name, **options)
        environment = {**os.environ, "LAB_JSON": os.path.join(lab.dir, "lab.json")}
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *lab.inside_argv(arguments.command)]
        return subprocess.run(argv, env=environment, check=False).returncode


def command_exec(arguments):
    with open(os.path.join(arguments.dir, "lab.json"), encoding="utf-8") as file:
        name = json.load(file)["namespace"]
    argv = ["ip", "netns", "exec", name, *arguments.command]
    os.execvp(argv[0], argv)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(required=True)
    part = commands.add_parser("run", help="make a lab, run a command in it, take it down")
    part.add_argument("--dir", required=True)
    part.add_argument("--server", action="append", default=[], help=server_options.__doc__)
    part.add_argument("command", nargs="+")
    part.set_defaults(call=command_run)
    part = commands.add_parser("exec", help="run a command in a lab that another process keeps up")
    part.add_argument("dir")
    part.add_argument("command", nargs="+")
    part.set_defaults(call=command_exec)
    arguments = parser.parse_args()
    try:
        return arguments.call(arguments)
    except (LabError, Timeout) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
