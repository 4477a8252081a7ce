"""A guest of libvirt behind sushy-tools: a machine and a BMC that nobody here wrote. libvirtd runs in the lab's network namespace with
directories of its own, so that it meets no other one on this machine."""
import contextlib
import importlib.util
import os
import shutil
import time

from server import LabError, Machine
from sushy import Emulator

DOMAIN = """<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><bios useserial='yes'/></os>
  <cpu mode='maximum'/><features><acpi/><apic/></features><clock offset='utc'><timer name='hpet' present='yes'/></clock><on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
      <serial>{serial}</serial></disk>
    <interface type='bridge'><mac address='{mac}'/><source bridge='br0'/><target dev='{tap}'/><model type='virtio'/></interface>
    <serial type='file'><source path='{console}' append='on'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""
DAEMON = 'unix_sock_dir = "{dir}/run"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\nlog_outputs = "2:file:{dir}/libvirtd.log"\n'
QEMU = ('user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\nremember_owner = 0\n'
        'clear_emulator_capabilities = 0\nstdio_handler = "file"\n')


def missing():
    """What of libvirt is not installed, or None."""
    if not shutil.which("libvirtd") or not importlib.util.find_spec("libvirt"):
        return "libvirt is not installed (hack/setup installs it)"
    return None


class LibvirtGuest(Machine):
    """Machine, with another machine and another BMC below it."""

    def __init__(self, lab, number, name, memory, disks):
        super().__init__(lab, number, name, "bios", memory, disks)
        self._create()

    @property
    def bmc_url(self):
        return self.bmc.url()

    def powered(self):
        return self._domain.isActive() == 1

    def boots(self):
        raise LabError("boots are not counted here; the emulator's log has the commands")

    def close(self):
        with contextlib.suppress(Exception):  # it may never have been there
            if self.powered():
                self._domain.destroy()

    def _create_bmc(self):
        import libvirt
        daemon = self.path("libvirt")
        for part in ("run", "etc", "lib"):
            os.makedirs(os.path.join(daemon, part))
        self._put("libvirt/etc/libvirtd.conf", DAEMON.format(dir=daemon))
        self._put("libvirt/etc/qemu.conf", QEMU)
        # Debian's user for guests comes with the package that starts libvirtd on the machine, which is not wanted here.
        for name in ("passwd", "group"):
            shutil.copyfile(f"/etc/{name}", self.path(f"libvirt/{name}"))
        for name, entry in (("passwd", "libvirt-qemu:x:64055:64055::/:/bin/false"), ("group", "libvirt-qemu:x:64055:\nlibvirt:x:64056:")):
            with open(self.path(f"libvirt/{name}"), "a", encoding="ascii") as file:
                file.write(entry + "\n")
        binds = [("etc", "/etc/libvirt"), ("lib", "/var/lib/libvirt"), ("run", "/run/libvirt"), ("passwd", "/etc/passwd"), ("group", "/etc/group")]
        mounts = "".join(f"mkdir -p {to}; " for _, to in binds[:3]) + "".join(f"mount --bind {daemon}/{part} {to}; " for part, to in binds)
        self.lab.popen(["unshare", "--mount", "sh", "-ec", f"{mounts} exec libvirtd -f {daemon}/etc/libvirtd.conf -p {daemon}/pid"],
                       log=self.path("libvirtd.log"))
        uri = f"qemu+unix:///system?socket={daemon}/run/libvirt-sock"
        self._connection = self._connect(libvirt, uri)
        # Where the emulator puts images of virtual media.
        os.makedirs(self.path("libvirt/pool"))
        pool = self._connection.storagePoolDefineXML(f"<pool type='dir'><name>default</name><target><path>{daemon}/pool</path></target></pool>")
        pool.create()
        self._domain = self._connection.defineXML(DOMAIN.format(
            name=self.name, uuid=self.uuid, memory=self.memory, disk=self.disks[0].path, serial=self.disks[0].serial, mac=self.mac,
            tap=f"t{self.number}n0", console=self.path("console.log")))
        self.bmc = Emulator(self.lab, self.number, self.name, system=self.uuid, driver=f"SUSHY_EMULATOR_LIBVIRT_URI = {uri!r}\n")
        self.bmc_user, self.bmc_password = self.bmc.user, self.bmc.password

    def _put(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def _connect(self, libvirt, uri, deadline=30):
        """libvirtd tells nobody when it is ready."""
        libvirt.registerErrorHandler(lambda *_: None, None)
        end = time.monotonic() + deadline
        while True:
            try:
                return libvirt.open(uri)
            except libvirt.libvirtError as error:
                if time.monotonic() > end:
                    raise LabError(f"libvirtd does not answer: {error}; see {self.path('libvirtd.log')}") from error
                time.sleep(0.1)
