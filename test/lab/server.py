"""Servers, their disks, their BMCs, and the records of what happened to them. Server is QEMU; native.py has another kind."""
import contextlib
import json
import os
import queue
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid

import watch
from qmp import Qmp, QmpError
from watch import Timeout

HERE = os.path.dirname(os.path.abspath(__file__))
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"

# Boot devices as ipmi_sim names them, and the kinds of device that each puts first. "default" is
# what it makes of IPMI's "disk".
BOOT_ORDER = {
    "none": ("disk", "nic", "cd"),
    "default": ("disk", "nic", "cd"),
    "pxe": ("nic", "disk", "cd"),
    "cdrom": ("cd", "disk", "nic"),
    "bios": ("disk", "nic", "cd"),
}

REDFISH_PORT = 8000
SUSHY_PYTHON = os.path.abspath("build/peers/sushy/bin/python3")  # after hack/peer-sushy

BMC_CONFIG = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr {address} 623
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "{chassis}"
  sol "tcp:127.0.0.1:{console_port}" 115200 history=16000
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""

BMC_EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 0 35 0x6f event-only
mc_enable 0x20
"""


# After a reset SeaBIOS resets the machine again, twice, before it begins; all within 50 ms. Resets
# by the guest in this time after the begin of a boot belong to that boot.
SETTLE_SECONDS = 2


class LabError(Exception):
    pass


def run(argv, **options):
    """Runs a command to its end; its output is in the exception when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def size_bytes(text):
    """8G, 512M, 1024 -> bytes."""
    match = re.fullmatch(r"(\d+)([KMGT]?)", str(text))
    if not match:
        raise LabError(f"{text} is no size")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2]]


class Disk:
    """A raw file and how the guest sees it.

    bus: virtio, scsi, nvme or ide (BIOS only). fill: so many bytes from the start, and the last
    MiB, hold a pattern instead of nothing, as on a used disk; what must be zero afterwards shows.
    options: further properties of the QEMU device, such as "wwn=0x5000c50012345678".
    """

    PATTERN = bytes(range(0x80, 0xc0)) * 64

    def __init__(self, size="8G", bus="virtio", fill=0, serial=None, options=""):
        self.size = size_bytes(size)
        self.bus = bus
        self.fill = size_bytes(fill)
        self.serial = serial
        self.options = options
        self.path = None
        self.written_before = 0  # by QEMU processes that have ended

    def create(self, path):
        self.path = path
        with open(path, "wb") as file:
            for left in range(self.fill, 0, -len(self.PATTERN)):
                file.write(self.PATTERN[:left])
            file.truncate(self.size)
            if self.fill:
                file.seek(self.size - (1 << 20))
                file.write(self.PATTERN * ((1 << 20) // len(self.PATTERN)))

    def arguments(self, index, bootindex):
        model = {"virtio": "virtio-blk-pci", "scsi": "scsi-hd,bus=scsi0.0", "nvme": "nvme",
                 "ide": "ide-hd"}[self.bus]
        extra = "," + self.options if self.options else ""
        # Discards are dropped as on a disk without the feature. Flushes too: the host's page cache
        # outlives the guest, and that is all a test needs.
        return ["-drive", f"if=none,id=disk{index},file={self.path},format=raw,cache=unsafe,"
                          "discard=ignore",
                "-device", f"{model},id=d{index},drive=disk{index},serial={self.serial},"
                           f"bootindex={bootindex}{extra}"]


class Record:
    """An append-only file of JSON lines, which tests can wait on."""

    def __init__(self, path):
        self.path = path
        self.entries = []
        self._changed = threading.Condition()
        self._file = open(path, "a", encoding="utf-8", buffering=1)

    def add(self, **entry):
        entry = {"t": round(time.time(), 6), **entry}
        with self._changed:
            self.entries.append(entry)
            self._file.write(json.dumps(entry) + "\n")
            self._changed.notify_all()

    def __len__(self):
        return len(self.entries)

    def wait(self, match, deadline, since=0, what="entry"):
        """The first entry from number since on for which match(entry) holds."""
        def look():
            return next((e for e in self.entries[since:] if match(e)), None)
        with self._changed:
            if not self._changed.wait_for(lambda: look() is not None, deadline):
                raise Timeout(f"{self.path}: no {what} within {deadline} s")
            return look()


class Machine:
    """What servers of all kinds have: a name, a BMC, records. Kinds add what runs between power on and power off (_start, _stop,
    _restart, _press_button, _order_changed, all with the lock held) and how bytes are counted.

    The public methods may be called from any thread; power and boot commands come in from the BMC as well."""

    def __init__(self, lab, number, name, firmware, memory, disks, nics=1, bmc="ipmi"):
        self.lab = lab
        self.name = name
        self.number = number
        self.firmware = firmware
        self.memory = memory
        self.disks = disks
        self.uuid = str(uuid.uuid4())
        self.serial = f"LAB-{name}"
        self.macs = [f"52:54:00:77:{number:02x}:{n:02x}" for n in range(nics)]
        self.bmc_address = f"fd78::{number + 10}" if lab.v6 else f"10.78.0.{number + 10}"
        self.bmc_user, self.bmc_password = "admin", secrets.token_hex(6)
        self.bmc_namespace = None  # a network namespace of the BMC's own; None: the lab's
        self.bmc_certificate = None  # of a Redfish BMC: file with certificate and key; None: plain HTTP
        self.console_port = 9000 + number
        self.chassis_fault = None  # callable(verb, what) -> None | "error" | text of the answer
        self.dir = os.path.join(lab.dir, name)
        self._lock = threading.RLock()
        self._process = None
        self._boot = "none"
        self._bmc_kind = bmc
        self._bmc = None
        self._bmc_log_read = 0

    def close(self):
        self.power_off(by="lab")
        self.bmc_stop()

    # --- what a test asks ---

    @property
    def mac(self):
        return self.macs[0]

    @property
    def bmc_url(self):
        host = f"[{self.bmc_address.replace('%', '%25')}]" if ":" in self.bmc_address else self.bmc_address
        if self._bmc_kind == "ipmi":
            return f"ipmi://{host}"
        tls = "" if self.bmc_certificate else "+http"
        return f"redfish{tls}://{host}:{REDFISH_PORT}/redfish/v1/Systems/{self.uuid}"

    def path(self, name):
        return os.path.join(self.dir, name)

    def console(self, since=0):
        with open(self.path("console.log"), "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def console_size(self):
        return os.path.getsize(self.path("console.log"))

    def wait_console(self, pattern, deadline, since=0):
        """The match of a regular expression in what the console printed from byte since on; raises
        Timeout after deadline seconds."""
        try:
            return watch.until(self.path("console.log"),
                               lambda: re.search(pattern, self.console(since)), deadline,
                               f"{self.name}: console has no {pattern!r}")
        except Timeout as error:
            raise Timeout(f"{error}; its end: {self.console(since)[-500:]!r}") from None

    def wait_event(self, name, deadline, since=0):
        """The first event of this name among those from number since on."""
        return self.events.wait(lambda e: e["event"] == name, deadline, since, f"event {name}")

    def boots(self):
        """How often the server has begun to boot, by power on, reset or of its own will."""
        return sum(entry["event"] == "BOOT" for entry in self.events.entries)

    def powered(self):
        with self._lock:
            return self._process is not None

    def ipmitool(self, *arguments, deadline=30):
        """Output of ipmitool against this server's BMC."""
        return self.lab.exec(["ipmitool", "-I", "lanplus", "-C", "3", "-H", self.bmc_address,
                              "-U", self.bmc_user, "-P", self.bmc_password, *arguments],
                             deadline=deadline)

    def describe(self):
        """For $LAB_JSON and whoever writes a BareMetalHost of it."""
        return {"name": self.name, "firmware": self.firmware, "uuid": self.uuid, "macs": self.macs,
                "memory": self.memory, "serial": self.serial, "dir": self.dir,
                "bmc": {"url": self.bmc_url, "address": self.bmc_address, "port": 623,
                        "user": self.bmc_user, "password": self.bmc_password},
                "disks": [{"path": d.path, "size": d.size, "bus": d.bus, "serial": d.serial}
                          for d in self.disks]}

    # --- power and boot, as a BMC does it; by is the name of who asks, for chassis.log ---

    def power_on(self, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="power", value="1", was=int(self.powered()))
            if self._process is None:
                self._start()

    def power_off(self, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="power", value="0", was=int(self.powered()))
            self._stop()

    def reset(self, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="reset", value="1", was=int(self.powered()))
            if self._process:
                self._restart()

    def soft_off(self, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="shutdown", value="1", was=int(self.powered()))
            if self._process:
                self._press_button()

    def set_boot(self, device, by="test"):
        """For the next boot only, whether by power on, by reset or by the guest itself. Behind a Redfish BMC for all, as the
        emulator's other drivers do it."""
        with self._lock:
            self.chassis.add(by=by, set="boot", value=device, was=self._boot)
            self._boot = device if device in BOOT_ORDER else "none"
            self._order_changed()

    def _boot_taken(self):
        """A boot has begun with the order that was asked for."""
        if self._bmc_kind == "ipmi":
            self._boot = "none"

    def _order_changed(self):
        pass

    # --- faults of the BMC ---

    def bmc_freeze(self):
        """The BMC takes packets and answers none."""
        os.kill(self._bmc.pid, signal.SIGSTOP)

    def bmc_thaw(self):
        os.kill(self._bmc.pid, signal.SIGCONT)

    def bmc_stop(self):
        """The BMC is gone from the network; the server runs on."""
        if self._bmc:
            self._bmc.kill()
            self._bmc.wait()
            self._bmc = None

    def bmc_start(self):
        command = ["ipmi_sim", "-n", "-c", "bmc.conf", "-f", "bmc.emu", "-s", "bmc-state"]
        if self._bmc_kind == "redfish":
            self._write_redfish()
            self._bmc_log_read = os.path.getsize(self.path("bmc.log")) if os.path.exists(self.path("bmc.log")) else 0
            command = [SUSHY_PYTHON, os.path.join(HERE, "redfish_bmc.py"), "redfish.json"]
        self._bmc = self.lab.popen(command, log=self.path("bmc.log"), cwd=self.dir, namespace=self.bmc_namespace)
        self._wait_bmc()

    # --- set-up ---

    def _create(self):
        os.makedirs(self.path("bmc-state"))
        open(self.path("console.log"), "wb").close()
        self.chassis = Record(self.path("chassis.log"))
        self.events = Record(self.path("events.log"))
        for index, disk in enumerate(self.disks):
            disk.serial = disk.serial or f"{self.name}-disk{index}"
            disk.create(self.path(f"disk{index}.raw"))
        self.lab.ip("address", "add", f"{self.bmc_address}/{64 if self.lab.v6 else 24}", "dev", "bmc0",
                    *(["nodad"] if self.lab.v6 else []))
        self._create_bmc()

    def bmc_move(self, address):
        """The BMC goes to an address that the lab has already."""
        self.bmc_stop()
        self.bmc_address = address
        self._create_bmc()

    def _create_bmc(self):
        chassis = f"{os.path.join(HERE, 'chassis')} {self.lab.socket_path} {self.name}"
        with open(self.path("bmc.conf"), "w", encoding="ascii") as file:
            file.write(BMC_CONFIG.format(
                name=self.name, address=self.bmc_address, guid=self.uuid.replace("-", ""),
                chassis=chassis, console_port=self.console_port, user=self.bmc_user,
                password=self.bmc_password))
        with open(self.path("bmc.emu"), "w", encoding="ascii") as file:
            file.write(BMC_EMULATION)
        self.bmc_start()

    def _write_redfish(self):
        with open(self.path("redfish.json"), "w", encoding="utf-8") as file:
            json.dump({"address": self.bmc_address, "port": REDFISH_PORT, "uuid": self.uuid, "name": self.name, "mac": self.mac,
                       "user": self.bmc_user, "password": self.bmc_password, "socket": self.lab.socket_path,
                       "firmware": self.firmware, "dir": self.dir, "certificate": self.bmc_certificate}, file)

    def _says_ready(self):
        with open(self.path("bmc.log"), encoding="utf-8") as file:
            return "Running on" in file.read()[self._bmc_log_read:] or None

    def _wait_bmc(self):
        if self._bmc_kind == "redfish":
            watch.until(self.path("bmc.log"), self._says_ready, 60, "Redfish emulator")
        else:
            self._wait_ipmi()

    def _wait_ipmi(self, deadline=10):
        """ipmi_sim tells nobody when it is ready: ask by ASF presence ping until it answers."""
        ping = bytes.fromhex("0600ff06000011be80000000")
        end = time.monotonic() + deadline
        family = socket.AF_INET6 if self.lab.v6 else socket.AF_INET
        with self.lab.inside(), socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(0.05)
            client.connect(socket.getaddrinfo(self.bmc_address, 623, family)[0][4])  # with its zone
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    client.send(ping)
                    client.recv(100)
                    return
        raise LabError(f"{self.name}: its BMC does not answer; see {self.path('bmc.log')}")


class Server(Machine):
    """A QEMU process."""

    def __init__(self, lab, number, name, firmware, memory, disks, nics, cdrom, cpus, nic_rom,
                 netboot, extra, bmc="ipmi"):
        super().__init__(lab, number, name, firmware, memory, disks, nics, bmc)
        self.cpus = cpus
        self.cdrom = cdrom
        # SeaBIOS boots from the network by the card's ROM, which is iPXE; OVMF has its own stack,
        # and an iPXE ROM would hide it.
        self.nic_rom = firmware == "bios" if nic_rom is None else nic_rom
        self.netboot = netboot
        self.extra = list(extra)
        self.taps = [f"t{number}n{n}" for n in range(nics)]
        self._qmp = None
        self._medium = None
        self._settling = None  # a timer, while a boot begins
        self._work = queue.Queue()
        self._create()

    def close(self):
        super().close()
        self._work.put((None, None))

    def written(self, disk=0):
        """Bytes that the guest wrote to this disk, over all its boots."""
        with self._lock:
            return self.disks[disk].written_before + self._written_now(f"disk{disk}")

    def unplug(self):
        """Its cable: frames go nowhere until plug()."""
        self.lab.ip("link", "set", self.taps[0], "nomaster")

    def plug(self):
        self.lab.ip("link", "set", self.taps[0], "master", "br0")

    def qmp(self, command, **arguments):
        with self._lock:
            if self._qmp is None:
                raise LabError(f"{self.name} is off")
            return self._qmp.command(command, **arguments)

    def insert_medium(self, path, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="medium", value=path)
            self._medium = path
            if self._qmp:
                self._qmp.command("blockdev-change-medium", id="cd0", filename=path, format="raw",
                                  read_only_mode="read-only")

    def eject_medium(self, by="test"):
        with self._lock:
            self.chassis.add(by=by, set="medium", value=None)
            self._medium = None
            if self._qmp:
                self._qmp.command("eject", id="cd0", force=True)

    def _restart(self):
        self._order_next_boot(self._boot)
        self._qmp.command("system_reset")

    def _press_button(self):
        self._qmp.command("system_powerdown")

    def _order_changed(self):
        if self._qmp and not self._settling:
            self._order_next_boot(self._boot)

    def _create(self):
        super()._create()
        if self.firmware == "uefi":
            shutil.copyfile(OVMF_VARS, self.path("vars.fd"))
        for tap in self.taps:
            self.lab.ip("tuntap", "add", tap, "mode", "tap")
            self.lab.ip("link", "set", tap, "master", "br0", "up")
        threading.Thread(target=self._worker, daemon=True).start()

    # --- QEMU; the caller holds the lock ---

    def _start(self):
        self._qmp = Qmp(self._event, lambda qmp: self._work.put(("closed", qmp)))
        bootindex = self._bootindexes(self._boot)
        self._process = self.lab.popen(self._arguments(bootindex), log=self.path("qemu.log"),
                                       cwd=self.dir, pass_fds=[self._qmp.fd()])
        self._qmp.start()
        try:
            self._qmp.command("qmp_capabilities", deadline=20)
            if self._medium:
                self._qmp.command("blockdev-change-medium", id="cd0", filename=self._medium,
                                  format="raw", read_only_mode="read-only")
            self.events.add(event="START", pid=self._process.pid)
            self._boot_begins()
        except QmpError as error:
            self._stop()
            raise LabError(f"{self.name}: {error}; see {self.path('qemu.log')}") from error

    def _stop(self):
        if self._process is None:
            return
        with contextlib.suppress(QmpError):
            self._qmp.command("stop")
            for disk, count in zip(self.disks, self._count_written()):
                disk.written_before = count
        self._process.kill()
        self._ended()

    def _ended(self):
        self._settled()
        status = self._process.wait()
        self._qmp.socket.close()
        self._process = self._qmp = None
        self.events.add(event="EXIT", status=status)

    def _boot_begins(self):
        """The order asked for serves this boot. The next one gets its own only when this one has
        settled, because the firmware may reset the machine and read the order again until then."""
        self._settled()
        self.events.add(event="BOOT", order=self._boot)
        self._boot_taken()
        self._settling = threading.Timer(SETTLE_SECONDS, self._work.put, [("settled", self._qmp)])
        self._settling.daemon = True
        self._settling.start()

    def _settled(self):
        if self._settling:
            self._settling.cancel()
            self._settling = None

    def _bootindexes(self, boot):
        kinds = {"disk": [f"d{n}" for n in range(len(self.disks))],
                 "nic": [f"n{n}" for n in range(len(self.macs))],
                 "cd": ["cd0"] if self.cdrom else []}
        order = [device for kind in BOOT_ORDER[boot] for device in kinds[kind]]
        # 0 is taken by -kernel.
        return {device: number for number, device in enumerate(order, 1)}

    def _order_next_boot(self, boot):
        """QEMU hands the boot order to the firmware at each reset."""
        indexes = self._bootindexes(boot)
        for step in ({device: -1 for device in indexes}, indexes):  # an index may stand only once
            for device, index in step.items():
                self._qmp.command("qom-set", path=f"/machine/peripheral/{device}",
                                  property="bootindex", value=index)

    def _arguments(self, bootindex):
        argv = ["qemu-system-x86_64", "-name", self.name, "-accel", "tcg,thread=multi",
                "-cpu", "max", "-smp", str(self.cpus), "-m", str(self.memory), "-uuid", self.uuid,
                "-smbios", f"type=1,manufacturer=Lab,product=Virtual Server,serial={self.serial}",
                "-nodefaults", "-display", "none", "-no-shutdown",
                "-chardev", f"socket,id=qmp,fd={self._qmp.fd()}",
                "-mon", "chardev=qmp,mode=control",
                "-chardev", f"socket,id=console,host=127.0.0.1,port={self.console_port},server=on,"
                            "wait=off,logfile=console.log,logappend=on",
                "-serial", "chardev:console", "-device", "virtio-rng-pci"]
        argv += self._firmware_arguments()
        if self.cdrom or any(disk.bus == "scsi" for disk in self.disks):
            argv += ["-device", "virtio-scsi-pci,id=scsi0"]
        for number, disk in enumerate(self.disks):
            argv += disk.arguments(number, bootindex[f"d{number}"])
        if self.cdrom:
            argv += ["-device", f"scsi-cd,bus=scsi0.0,id=cd0,bootindex={bootindex['cd0']}"]
        for number, mac in enumerate(self.macs):
            rom = "" if self.nic_rom else ",romfile="
            argv += ["-netdev", f"tap,id=net{number},ifname={self.taps[number]},script=no,"
                                "downscript=no",
                     "-device", f"virtio-net-pci,id=n{number},netdev=net{number},mac={mac},"
                                f"bootindex={bootindex[f'n{number}']}{rom}"]
        return argv + self.extra

    def _firmware_arguments(self):
        if self.firmware == "bios":
            # Without a display SeaBIOS, the NIC's ROM and the boot loader print on the serial
            # port.
            return ["-machine", "pc,graphics=off"]
        argv = ["-machine", "q35",
                "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                "-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]
        off = {"any": [], "pxe": ["IPv6PXE"], "pxe6": ["IPv4PXE"], "http": ["IPv4PXE", "IPv6PXE"]}[self.netboot]
        for stack in off:
            argv += ["-fw_cfg", f"name=opt/org.tianocore/{stack}Support,string=n"]
        return argv

    # --- what QEMU reports ---

    def _event(self, qmp, message):
        entry = {"event": message["event"]}
        if "data" in message:
            entry["data"] = message["data"]
        self.events.add(**entry)
        self._work.put((message, qmp))

    def _worker(self):
        """Acts on events outside the thread that reads them: acting needs answers from QEMU."""
        while True:
            what, qmp = self._work.get()
            if what is None:
                return
            with self._lock, contextlib.suppress(QmpError):
                if qmp is self._qmp:  # and not of a process that has ended since
                    self._act(what)

    def _act(self, what):
        if what == "closed":
            self._ended()
        elif what == "settled":
            self._settled()
            self._order_next_boot(self._boot)
        elif what["event"] == "RESET":
            if not self._settling or what["data"]["reason"] != "guest-reset":
                self._count_written()
                self._boot_begins()
        elif what["event"] == "SHUTDOWN":
            # The guest switched itself off; -no-shutdown kept QEMU for a last look.
            self._stop()

    def _written_now(self, device):
        if self._qmp is None:
            return 0
        for entry in self._qmp.command("query-blockstats"):
            if entry.get("device") == device:
                return entry["stats"]["wr_bytes"]
        return 0

    def _count_written(self):
        """Records the bytes written so far; called before the process ends and at each reset."""
        counts = [disk.written_before + self._written_now(f"disk{index}")
                  for index, disk in enumerate(self.disks)]
        self.events.add(event="WRITTEN", disks=dict(zip((d.serial for d in self.disks), counts)))
        return counts
