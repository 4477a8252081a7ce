#!/usr/bin/python3
"""Proves the lab itself, without Ingot: BMC, power, boot order, console, events and counters, for
BIOS and UEFI. Prints a line for each proof with the seconds it took.

    test/lab/selftest.py [--dir DIR] [--image build/lab/os.raw] [bios] [uefi]
"""
import argparse
import os
import secrets
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, install_image  # noqa: E402
from qmp import QmpError  # noqa: E402
from server import Disk, LabError  # noqa: E402
import watch  # noqa: E402
from watch import Timeout  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Wire:
    """Sees the network boots: a DHCP server's socket that answers nothing."""

    def __init__(self, lab):
        with lab.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"br0")
        self.socket.bind(("0.0.0.0", 67))

    def drain(self):
        """MACs of network boot clients since the last look."""
        macs = []
        self.socket.setblocking(False)
        try:
            while True:
                macs.append(self._mac(self.socket.recv(2000)))
        except BlockingIOError:
            return [mac for mac in macs if mac]

    def wait(self, mac, deadline):
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if self._mac(self.socket.recv(2000)) == mac:
                    return
            except socket.timeout:
                break
        raise Timeout(f"no network boot of {mac} within {deadline} s")

    @staticmethod
    def _mac(packet):
        return packet[28:34].hex(":") if b"PXEClient" in packet[240:] else None


class Proofs:
    def __init__(self):
        self.passed = self.failed = 0

    def run(self, title, proof):
        start = time.monotonic()
        try:
            proof()
        except (AssertionError, LabError, QmpError, Timeout) as error:
            self.failed += 1
            print(f"FAIL {title}: {type(error).__name__} {error}", flush=True)
            return False
        self.passed += 1
        print(f"ok   {title} ({time.monotonic() - start:.1f} s)", flush=True)
        return True


def expect(value, wanted):
    assert value == wanted, f"{value!r} instead of {wanted!r}"


class Node:
    """One server with a system on its disk, and what must hold of it."""

    def __init__(self, lab, wire, firmware, image):
        self.wire = wire
        self.nonce = secrets.token_hex(8)
        self.key = f"ssh-ed25519 {secrets.token_hex(16)} selftest"
        self.firmware = firmware
        self.server = lab.server(firmware, firmware=firmware, disks=[
            Disk("2G", bus="virtio" if firmware == "bios" else "scsi", fill="16M")])
        install_image(self.server, image, {
            "meta_data.json": {"uuid": self.server.uuid, "hostname": f"host-{self.nonce}",
                               "name": f"host-{self.nonce}", "public_keys": {"test": self.key}},
            "network_data.json": {
                "links": [{"id": "n0", "type": "phy",
                           "ethernet_mac_address": self.server.mac}],
                "networks": [{"id": "net", "type": "ipv4", "link": "n0",
                              "ip_address": "10.77.0.20", "netmask": "255.255.255.0"}],
                "services": []},
            "user_data": f"#cloud-config\nbootcmd:\n- [lab-report, {self.nonce}]\n".encode()})

    def status(self, wanted):
        expect(self.server.ipmitool("power", "status").strip(), f"Chassis Power is {wanted}")

    def reports(self, since):
        """Waits for the line that the system prints once it has read its config drive."""
        return self.server.wait_console(
            rf"LAB-REPORT nonce={self.nonce} host=host-{self.nonce} firmware={self.firmware} "
            rf".*key={self.key}", 120, since)

    def boots_from_disk(self, action):
        mark = self.server.console_size()
        self.wire.drain()
        self.server.ipmitool("power", action)
        self.reports(mark)
        expect(self.wire.drain(), [])
        self.status("on")

    def asks_the_network(self, *actions):
        self.wire.drain()
        self.server.ipmitool("chassis", "bootdev", "pxe")
        for action in actions:
            self.server.ipmitool("power", action)
        self.wire.wait(self.server.mac, 40)

    def starts_off(self):
        self.status("off")
        expect(self.server.written(), 0)

    def powers_on(self):
        self.boots_from_disk("on")

    def counts_writes(self):
        assert self.server.written() > 0, "a booted system has written nothing"

    def network_once_by_reset(self):
        since = len(self.server.events)
        self.asks_the_network("reset")
        self.server.wait_event("RESET", 5, since)

    def then_disk_again(self):
        self.boots_from_disk("reset")

    def soft_off(self):
        since, written = len(self.server.events), self.server.written()
        self.server.ipmitool("power", "soft")
        self.server.wait_event("EXIT", 60, since)
        shutdown = self.server.wait_event("SHUTDOWN", 0, since)
        expect(shutdown["data"]["guest"], True)
        self.status("off")
        assert self.server.written() >= written, "the count of written bytes went back"

    def network_once_by_power_on(self):
        self.asks_the_network("on")

    def power_off(self):
        self.server.ipmitool("power", "off")
        self.status("off")

    def disk_after_network(self):
        self.boots_from_disk("on")

    def network_by_cycle(self):
        self.asks_the_network("cycle")

    def frozen_bmc(self):
        self.server.bmc_freeze()
        try:
            self.server.ipmitool("-N", "1", "-R", "1", "power", "status")
        except LabError as error:
            assert "Unable to establish" in str(error), error
        else:
            raise AssertionError("a frozen BMC answered")
        finally:
            self.server.bmc_thaw()
        self.status("on")

    def chassis_log(self):
        """Every command of this test and nothing else is in the BMC's log."""
        commands = [(e["set"], e["value"]) for e in self.server.chassis.entries]
        expect(commands, [
            ("power", "1"), ("boot", "pxe"), ("reset", "1"), ("reset", "1"), ("shutdown", "1"),
            ("boot", "pxe"), ("power", "1"), ("power", "0"), ("power", "1"),
            ("boot", "pxe"), ("power", "0"), ("power", "1")])
        assert all(e["by"] == "ipmi" for e in self.server.chassis.entries)

    def boots_counted(self):
        orders = [e["order"] for e in self.server.events.entries if e["event"] == "BOOT"]
        expect(orders, ["none", "pxe", "none", "pxe", "none", "pxe"])
        expect(self.server.boots(), len(orders))

    def serial_over_lan(self):
        """ipmi_sim has dialled in to the console by now; what it keeps of it is replayed."""
        typescript = self.server.path("sol.txt")
        open(typescript, "w", encoding="utf-8").close()
        child = self.server.lab.popen(
            ["script", "-qfc", f"ipmitool -I lanplus -C 3 -H {self.server.bmc_address} -U admin "
             f"-P {self.server.bmc_password} sol activate", typescript], log=os.devnull)
        try:
            def look():
                with open(typescript, encoding="utf-8", errors="replace") as file:
                    return "SOL Session operational" in file.read() or None
            watch.until(typescript, look, 20, "SOL session")
        finally:
            child.terminate()
            child.wait()

    PROOFS = (starts_off, powers_on, counts_writes, network_once_by_reset, then_disk_again,
              soft_off, network_once_by_power_on, power_off, disk_after_network, network_by_cycle,
              frozen_bmc, serial_over_lan, chassis_log, boots_counted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dir")
    parser.add_argument("--image", default=os.path.join(ROOT, "build/lab/os.raw"))
    parser.add_argument("firmware", nargs="*", default=["bios", "uefi"])
    arguments = parser.parse_args()
    proofs = Proofs()
    with tempfile.TemporaryDirectory(prefix="lab-selftest-") as directory, \
            Lab(arguments.dir or directory) as lab:
        wire = Wire(lab)
        for firmware in arguments.firmware:
            node = Node(lab, wire, firmware, arguments.image)
            for proof in Node.PROOFS:
                if not proofs.run(f"{firmware}: {proof.__name__.replace('_', ' ')}",
                                  lambda proof=proof, node=node: proof(node)):
                    break
            node.server.power_off()
    print(f"{proofs.passed} passed, {proofs.failed} failed")
    return 1 if proofs.failed else 0


if __name__ == "__main__":
    sys.exit(main())
