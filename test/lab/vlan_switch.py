"""A switch with VLANs in user space, for machines whose kernel has none.

Guests' NICs are ports (QEMU's `-netdev socket,udp`), each a trunk with a native VLAN 0. For each VLAN the machine has a tap of its own,
where frames are untagged. Multicast and what is unknown goes to every port but the one that it came from, as a switch has it.
"""
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def make_tap(name, *addresses):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    for address in addresses:
        subprocess.run(["ip", "addr", "add", address, "dev", name] + (["nodad"] if ":" in address else []), check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return fd


class VlanSwitch:
    """vlans: {VLAN: addresses of this machine in it}; ports: how many NICs. netdevs() are QEMU's ends."""

    def __init__(self, vlans, ports):
        self.taps = {vlan: make_tap(f"vlan{vlan}", *addresses) for vlan, addresses in vlans.items()}
        self.ports, self.seen = [], {}
        self.tags = set()  # of frames that guests have sent
        for _ in range(ports):
            port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            port.bind(("127.0.0.1", 0))
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            other.bind(("127.0.0.1", 0))
            port.connect(other.getsockname())
            port.setblocking(False)
            self.ports.append((port, other.getsockname()[1]))
            other.close()
        threading.Thread(target=self.run, daemon=True).start()

    def netdev(self, number):
        port, other = self.ports[number]
        return f"socket,id=n{number},udp=127.0.0.1:{port.getsockname()[1]},localaddr=127.0.0.1:{other}"

    def run(self):
        sources = {port.fileno(): ("port", i) for i, (port, _) in enumerate(self.ports)}
        sources |= {fd: ("tap", vlan) for vlan, fd in self.taps.items()}
        while True:
            for fd in select.select(list(sources), [], [])[0]:
                kind, which = sources[fd]
                try:
                    frame = os.read(fd, 65536)
                except (BlockingIOError, ConnectionRefusedError):  # a guest that is not there, or not yet
                    continue
                if kind == "port":
                    self.from_guest(which, frame)
                else:
                    self.to_guests(frame if which == 0 else frame[:12] + struct.pack("!HH", 0x8100, which) + frame[12:])

    def from_guest(self, port, frame):
        vlan, plain = 0, frame
        if frame[12:14] == b"\x81\x00":
            vlan, plain = struct.unpack("!H", frame[14:16])[0] & 0xFFF, frame[:12] + frame[16:]
        self.tags.add(vlan)
        self.seen[frame[6:12]] = port
        if vlan in self.taps:
            try:
                os.write(self.taps[vlan], plain)
            except OSError:
                pass  # a tap that is full loses frames, as cables do
        if frame[0] & 1 or self.seen.get(frame[:6], port) != port:
            self.to_guests(frame, but=port)

    def to_guests(self, frame, but=None):
        known = self.seen.get(frame[:6]) if not frame[0] & 1 else None
        for number, (port, _) in enumerate(self.ports):
            if number != but and known in (None, number):
                try:
                    port.send(frame)
                except OSError:
                    pass
