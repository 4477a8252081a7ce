"""A server without a virtual machine: processes in a cage, on real sockets and a real block device, behind a real BMC.

Power on starts a firmware (firmware.py) that boots from the network as a BIOS with iPXE does, fetches what it is told to, and runs the
real ingot-agent; or it finds a system on the disk and reports what that would. A boot takes a second instead of twenty.

The disk is a loop device on a sparse file, whose bytes the kernel counts. What runs in the cage (cage.py) can see no other device. The
agent reads a made-up /sys below DIR/NAME/root, written here, and is told by --root to open nothing outside it; its disk has a name, lab0,
that no machine has.
"""
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import threading

from server import BOOT_ORDER, HERE, LabError, Machine, run

AGENT = os.path.join(HERE, "../../build/ingot-agent")
DISK = "lab0"
PCI = "devices/pci0000:00"
# How the cage ends when the server has switched itself off, or restarts (pkg/agent/effects.h).
POWER_OFF, REBOOT = 10, 11


class NativeServer(Machine):
    def __init__(self, lab, number, name, memory, disks, bmc="ipmi"):
        super().__init__(lab, number, name, "bios", memory, disks, bmc=bmc)
        self.agent = AGENT
        self._starts = 0
        self._unplugged = False
        self._create()

    def close(self):
        super().close()
        with contextlib.suppress(OSError):
            os.close(self._loop)

    def written(self, disk=0):
        """Bytes that were written to the disk, zeros included, as the kernel counts them."""
        if disk != 0:
            raise LabError("a native server has one disk")
        return self._counted() - self._counted_before

    def inside(self):
        """The directory in /proc of the first process in the cage."""
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children", encoding="ascii") as file:
            return f"/proc/{file.read().split()[0]}"

    def unplug(self):
        with self._lock:
            self._unplugged = True
            self._cable("nomaster")

    def plug(self):
        with self._lock:
            self._unplugged = False
            self._cable("master", "br0")

    def _cable(self, *change):
        if self._process:
            self.lab.ip("link", "set", self._tap(), *change)

    def _counted(self):
        with open(f"/sys/block/{self._loop_name}/stat", encoding="ascii") as file:
            return int(file.read().split()[6]) * 512

    # --- set-up ---

    def _create(self):
        super()._create()
        self._attach(self.disks[0])
        self._make_tree()
        os.makedirs(self.path("cage"))

    def _attach(self, disk):
        """Detached by the kernel when nobody has it open any more, however this process ends."""
        path = run(["losetup", "--find", "--show", disk.path]).strip()
        self.device, self._loop_name = path, os.path.basename(path)
        self._loop = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        run(["losetup", "--detach", path])
        self._counted_before = self._counted()  # the kernel goes on counting for the next file
        # As in a guest: what is zero afterwards was written, not discarded.
        self._put(f"/sys/block/{self._loop_name}/queue/discard_max_bytes", "0")

    @staticmethod
    def _put(path, text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def _file(self, path, text):
        full = self.path(f"root/{path}")
        os.makedirs(os.path.dirname(full), exist_ok=True)
        self._put(full, text + "\n")

    def _link(self, path, target):
        full = self.path(f"root/{path}")
        os.makedirs(os.path.dirname(full), exist_ok=True)
        os.symlink(target, full)

    def _make_tree(self):
        """What sysfs and /proc tell on a small machine with one virtio disk and one NIC."""
        disk, nic = f"{PCI}/0000:00:04.0/virtio1", f"{PCI}/0000:00:03.0/virtio0"
        block = f"sys/{disk}/block/{DISK}"
        files = {
            f"{block}/size": self.disks[0].size // 512, f"{block}/ro": 0, f"{block}/removable": 0,
            f"{block}/queue/rotational": 1, f"{block}/queue/logical_block_size": 512,
            f"{block}/queue/physical_block_size": 512, f"{block}/serial": self.disks[0].serial,
            f"sys/{disk}/vendor": "0x1af4", f"sys/{nic}/vendor": "0x1af4", f"sys/{nic}/device": "0x0001",
            "sys/class/net/eth0/address": self.mac, "sys/class/net/eth0/carrier": 1, "sys/class/net/eth0/speed": 1000,
            "sys/class/dmi/id/sys_vendor": "Lab", "sys/class/dmi/id/product_name": "Native Server",
            "sys/class/dmi/id/product_serial": self.serial, "sys/class/dmi/id/bios_vendor": "firmware.py",
            "sys/devices/system/cpu/cpu0/topology/physical_package_id": 0,
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Lab CPU\ncpu MHz\t\t: 2000.000\nflags\t\t: fpu lm",
            "proc/meminfo": f"MemTotal: {self.memory * 1024} kB", "proc/sys/kernel/hostname": "ramdisk",
        }
        for path, text in files.items():
            self._file(path, str(text))
        self._link(f"sys/block/{DISK}", f"../{disk}/block/{DISK}")
        self._link(f"{block}/device", "../..")
        self._link("sys/class/net/eth0/device", f"../../../{nic}")
        self._link(f"sys/{nic}/driver", "../../../../bus/virtio/drivers/virtio_net")
        os.makedirs(self.path("root/dev"))
        os.makedirs(self.path("root/etc/ironic-python-agent"))

    # --- power; the caller holds the lock ---

    def _tap(self):
        """A new one each time: the kernel takes its time to remove the last."""
        return f"t{self.number}b{self._starts}"

    def _start(self):
        self._starts += 1
        order = BOOT_ORDER[self._boot]
        numbers = os.stat(f"/dev/{self._loop_name}").st_rdev
        config = {"dir": self.dir, "tap": self._tap(), "plugged": not self._unplugged, "mac": self.mac, "order": order,
                  "disk": [os.major(numbers), os.minor(numbers), DISK], "agent": os.path.realpath(self.agent), "code": HERE, "v6": self.lab.v6}
        self._process = self.lab.popen([sys.executable, os.path.join(HERE, "cage.py"), json.dumps(config)],
                                       log=self.path("console.log"), cwd=self.dir)
        self.events.add(event="START", pid=self._process.pid)
        self.events.add(event="BOOT", order=self._boot)
        self._boot_taken()
        threading.Thread(target=self._wait, args=[self._process], daemon=True).start()

    def _stop(self):
        """The cable goes first, as on a machine that loses power: nobody hears a good-bye of its sockets."""
        if self._process is None:
            return
        with contextlib.suppress(LabError):
            self.lab.ip("link", "del", self._tap())
        self._process.terminate()
        self._ended(self._process.wait())

    def _restart(self):
        self._stop()
        self._start()

    def _press_button(self):
        self._stop()

    def _ended(self, status):
        self._process = None
        self.events.add(event="WRITTEN", disks={self.disks[0].serial: self.written()})
        self.events.add(event="EXIT", status=status)

    def _wait(self, process):
        """The server ends of its own will, in a thread of its own."""
        status = process.wait()
        with self._lock:
            if process is not self._process:
                return  # ended by _stop()
            self.events.add(event={POWER_OFF: "SHUTDOWN", REBOOT: "RESET"}.get(status, "CRASH"))
            self._ended(status)
            if status == REBOOT:
                self._start()






# --- images -----------------------------------------------------------------------------------------

IMAGE_MIB = 96


def _payload(file, start, length):
    """Random bytes with holes in between; the holes count for the digest, so what they left of an old tenant would show."""
    digest, at = hashlib.sha256(), 0
    while at < length:
        size = min(1 << 20, length - at)
        hole = 24 << 20 <= at < 56 << 20
        piece = bytes(size) if hole else os.urandom(size)
        digest.update(piece)
        if not hole:
            os.pwrite(file, piece, start + at)
        at += size
    head = json.dumps({"length": length, "sha256": digest.hexdigest()}).encode()
    os.pwrite(file, head.ljust(4096, b"\0"), start - 4096)


def make_images(directory):
    """os.raw and os.qcow2 with their checksums: a system that firmware.py runs. Made once."""
    if os.path.exists(os.path.join(directory, "os.qcow2.sha256")):
        return
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as work:
        raw, qcow2 = os.path.join(work, "os.raw"), os.path.join(work, "os.qcow2")
        file = os.open(raw, os.O_RDWR | os.O_CREAT, 0o644)
        os.truncate(file, IMAGE_MIB << 20)
        run(["sgdisk", "-n", f"1:2048:{(IMAGE_MIB - 1) * 2048 - 1}", "-t", "1:8304", raw])
        os.pwrite(file, b"\xeb\xfe", 0)  # something that a BIOS would run
        _payload(file, (1 << 20) + 4096, (IMAGE_MIB - 2 << 20) - 4096)
        os.close(file)
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2])
        for path in (raw, qcow2):
            with open(path, "rb") as image, open(path + ".sha256", "w", encoding="ascii") as out:
                out.write(f"{hashlib.file_digest(image, 'sha256').hexdigest()}  {os.path.basename(path)}\n")
        for name in sorted(os.listdir(work)):
            os.rename(os.path.join(work, name), os.path.join(directory, name))
