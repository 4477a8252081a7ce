#!/usr/bin/python3
"""firmware.py CONFIG: what runs on a native server between power on and power off, inside its cage (cage.py).

In turn: a BIOS that tries its boot devices, a PXE ROM and iPXE on the network, the deploy ramdisk's init around the real ingot-agent, or
the operating system of the disk. All of it speaks on real sockets and reads a real disk; stdout is the serial console.

The operating system is one that images.make_image() made: partition 1 begins with a line of JSON that tells length and SHA-256 of what
follows. It only runs when that is so, as a real one would not run from half of its files.
"""
import contextlib
import hashlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

POWER_OFF, REBOOT = 10, 11
AGENT_STARTS = 3  # an agent that ends each time would fill the console
NIC = "eth0"


def say(text):
    print(text, flush=True)


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def forever():
    while True:
        signal.pause()


# --- DHCP -----------------------------------------------------------------------------------------

MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
# As whom it asks: vendor class, user class, architecture (RFC 4578).
PXE = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 94: b"\1\2\1"}
IPXE = {**PXE, 77: b"iPXE", 175: b"\xb1\x05\x01\x1a\xf4\x10\x00"}
LINUX = {60: b"udhcp 1.35.0"}


def dhcp_packet(mac, xid, kind, options):
    head = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, xid, 0, 0x8000, b"", b"", b"", b"", mac, b"", b"")
    options = {53: bytes([kind]), 55: bytes([1, 3, 6, 12, 43, 60, 66, 67, 175]), **options}
    return head + MAGIC + b"".join(bytes([n, len(v)]) + v for n, v in options.items()) + b"\xff"


def dhcp_parse(packet, mac, xid):
    """Type, address, boot server, boot file and options; None when it is not for us."""
    if len(packet) < 240 or packet[0] != 2 or packet[236:240] != MAGIC or packet[28:34] != mac:
        return None
    if struct.unpack("!I", packet[4:8])[0] != xid:
        return None
    options, at = {}, 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        options[packet[at]] = packet[at + 2:at + 2 + packet[at + 1]]
        at += 2 + packet[at + 1]
    file = options.get(67) or packet[108:236]
    return {"type": options.get(53, b"\0")[0], "address": socket.inet_ntoa(packet[16:20]), "server": socket.inet_ntoa(packet[20:24]),
            "file": file.split(b"\0")[0].decode(), "options": options}


def dhcp_exchange(client, mac, xid, message, wanted, deadline):
    client.sendto(message, ("255.255.255.255", 67))
    while select.select([client], [], [], max(0, deadline - time.monotonic()))[0]:
        answer = dhcp_parse(client.recv(2048), mac, xid)
        if answer and answer["type"] == wanted:
            return answer
    return None


def dhcp(mac, identity):
    """A lease, after at most five tries with growing patience (a PXE ROM waits 4, 8, 16 and 32 s); None."""
    mac = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, NIC.encode())
        client.bind(("", 68))
        for patience in (1, 2, 4, 8, 16):
            xid = struct.unpack("!I", os.urandom(4))[0]
            offer = dhcp_exchange(client, mac, xid, dhcp_packet(mac, xid, DISCOVER, identity), OFFER, time.monotonic() + patience)
            if not offer:
                continue
            more = {50: socket.inet_aton(offer["address"]), 54: offer["options"][54]}
            answer = dhcp_exchange(client, mac, xid, dhcp_packet(mac, xid, REQUEST, {**identity, **more}), ACK,
                                   time.monotonic() + patience)
            if answer:
                return answer
    return None


def configure(lease):
    mask = struct.unpack("!I", lease["options"][1])[0]
    run("ip", "-4", "address", "flush", "dev", NIC)
    run("ip", "address", "add", f"{lease['address']}/{bin(mask).count('1')}", "dev", NIC)


# --- DHCPv6 ---------------------------------------------------------------------------------------

SOLICIT, ADVERTISE, REQUEST6, REPLY = 1, 2, 3, 7
# As whom it asks: vendor class (Intel's number), architecture, user class (RFC 5970).
PXE6 = {16: b"\0\0\x01\x57\0\x20PXEClient:Arch:00007:UNDI:003000", 61: b"\0\7", 62: b"\1\3\0", 6: b"\0\x3b\0\x3c\0\x17\0\x10"}
IPXE6 = {**PXE6, 15: b"\0\4iPXE"}
LINUX6 = {6: b"\0\x17\0\x18"}


def dhcp6_options(data):
    options, at = {}, 0
    while at + 4 <= len(data):
        code, length = struct.unpack("!HH", data[at:at + 4])
        options[code] = data[at + 4:at + 4 + length]
        at += 4 + length
    return options


def dhcp6_exchange(client, kind, options, wanted, deadline):
    """Type, address ("" for none), boot file and options of the answer; None without one."""
    xid = os.urandom(3)
    body = b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options.items())
    with contextlib.suppress(OSError):  # the link has no address yet: as good as a lost packet
        client.sendto(bytes([kind]) + xid + body, ("ff02::1:2", 547))
    while select.select([client], [], [], max(0, deadline - time.monotonic()))[0]:
        answer = client.recv(2048)
        if answer[:4] == bytes([wanted]) + xid:
            told = dhcp6_options(answer[4:])
            address = dhcp6_options(told.get(3, b"")[12:]).get(5, b"")[:16]
            return {"address": socket.inet_ntop(socket.AF_INET6, address) if address else "", "file": told.get(59, b"").decode(),
                    "options": told}
    return None


def dhcp6(_, identity):
    """A lease, as firmware gets it: by a DUID of the machine's UUID, which does not tell the MAC."""
    common = {1: b"\0\4" + b"lab machine uuid", 3: b"\0\0\0\1" + bytes(8), 8: b"\0\0", **identity}
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, NIC.encode())
        client.bind(("::", 546))
        for patience in (1, 2, 4, 8, 16):
            offer = dhcp6_exchange(client, SOLICIT, common, ADVERTISE, time.monotonic() + patience)
            if not offer or not offer["address"]:
                continue
            wanted = {**common, 2: offer["options"][2], 3: offer["options"][3]}
            answer = dhcp6_exchange(client, REQUEST6, wanted, REPLY, time.monotonic() + patience)
            if answer and answer["address"]:
                return answer
    return None


def has_prefix():
    routes = run("ip", "-6", "route", "show", "dev", NIC).splitlines()
    return any("/64" in line and not line.startswith("fe80") for line in routes)


def wait_for_prefix(deadline):
    """The kernel asks the routers for it when the link has an address, which may be later than the lease."""
    with subprocess.Popen(["ip", "-6", "monitor", "route"], stdout=subprocess.PIPE) as monitor:
        while not has_prefix() and select.select([monitor.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            os.read(monitor.stdout.fileno(), 4096)
        monitor.terminate()


def configure6(lease):
    """The kernel has the network's prefix by router advertisement."""
    wait_for_prefix(time.monotonic() + 30)
    run("ip", "-6", "address", "flush", "dev", NIC, "scope", "global")
    run("ip", "address", "add", f"{lease['address']}/128", "dev", NIC, "nodad")


def boot_network6(machine):
    offer = dhcp6(machine["mac"], PXE6)
    if not offer:
        say("PXE-E16: No valid offer received")
        return
    configure6(offer)
    told = re.fullmatch(r"tftp://\[([0-9a-f:]+)\]/(.*)", offer["file"])
    if not told:
        say(f"PXE: no boot file: {offer['file']}")
        return
    try:
        tftp_begins(told[1], told[2])
    except OSError as error:
        say(f"PXE-E32: {offer['file']}: {error}")
        return
    chain(machine, dhcp6(machine["mac"], IPXE6), configure6)


# --- boot from the network ------------------------------------------------------------------------

def tftp_begins(server, name, blocks=3):
    """Reads the first blocks of a file, as proof that it is there."""
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.sendto(b"\0\1" + name.encode() + b"\0octet\0", (server, 69))
        got = 0
        while got < blocks:
            packet, peer = client.recvfrom(2048)
            if packet[:2] != b"\0\3":
                raise OSError(f"TFTP: {packet[4:].rstrip(bytes(1)).decode(errors='replace')}")
            got = struct.unpack("!H", packet[2:4])[0]
            client.sendto(b"\0\4" + packet[2:4], peer)
        client.sendto(b"\0\5\0\0enough\0", peer)


def http_get(url, keep=True):
    with urllib.request.urlopen(url, timeout=30) as answer:
        if keep:
            return answer.read()
        size = 0
        while piece := answer.read(1 << 20):
            size += len(piece)
        return size


class Exit(Exception):
    """The script is over: on to the next boot device."""


class Script:
    """As much of iPXE's language as boot scripts here need: commands with || and &&, variables, labels."""

    def __init__(self, machine, text):
        self.machine = machine
        self.lines = text.splitlines()
        self.variables = {"platform": "pcbios", "net0/mac": machine["mac"], "net0/mac:hexhyp": machine["mac"].replace(":", "-")}
        self.kernel, self.initrds = None, {}
        self.at = 0

    def run(self):
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            self.at += 1
            if line and line[0] not in "#:":
                self.line(line)

    def line(self, line):
        """True or False per command; || and && decide whether the next one runs. A failure that is left ends the script."""
        result, operator = True, "&&"
        for word in re.split(r" (\|\||&&) ?", line):
            if word in ("||", "&&"):
                operator = word
            elif (operator == "&&") == result:
                result = self.command(word.strip())
        if not result:
            raise Exit

    def command(self, text):
        text = re.sub(r"\$\{([^}]*)\}", lambda m: self.variables.get(m[1], ""), text)
        name, *words = text.split() or ["nothing"]
        return getattr(self, "do_" + name)(words) is not False

    def do_nothing(self, _):
        pass

    def do_set(self, words):
        self.variables[words[0].split(":")[0]] = words[1]

    def do_inc(self, words):
        self.variables[words[0]] = str(int(self.variables[words[0]]) + 1)

    def do_iseq(self, words):
        return words[0] == words[1]

    def do_isset(self, words):
        return bool(words)

    def do_echo(self, words):
        say("iPXE: " + " ".join(words))

    def do_sleep(self, words):
        time.sleep(int(words[0]))

    def do_goto(self, words):
        self.at = self.lines.index(":" + words[0])

    def do_imgfree(self, _):
        self.kernel, self.initrds = None, {}

    def do_exit(self, _):
        raise Exit

    def do_kernel(self, words):
        return self.fetch(words[0], lambda: http_get(words[0], keep=False), lambda _: setattr(self, "kernel", " ".join(words[1:])))

    def do_initrd(self, words):
        name, url = words[1], words[2]
        return self.fetch(url, lambda: http_get(url, keep=name == "ca.cpio"), lambda data: self.initrds.update({name: data}))

    def do_chain(self, words):
        def enter(text):
            self.lines, self.at = text.decode().splitlines(), 0
        return self.fetch(words[-1], lambda: http_get(words[-1]), enter)

    def fetch(self, url, get, keep):
        try:
            keep(get())
        except (OSError, urllib.error.URLError) as error:
            say(f"iPXE: {url}: {error}")
            return False
        say(f"iPXE: {url} ... ok")
        return True

    def do_sanboot(self, _):
        boot_disk(self.machine)
        return False

    def do_boot(self, _):
        ramdisk(self.machine, self.kernel, self.initrds)


def boot_network(machine):
    offer = dhcp(machine["mac"], PXE)
    if not offer:
        say("PXE-E51: No DHCP or proxyDHCP offers were received")
        return
    if not offer["file"]:
        say("PXE: told to boot from the local disk")
        return
    configure(offer)
    try:
        tftp_begins(offer["server"], offer["file"])
    except OSError as error:
        say(f"PXE-E32: {offer['file']}: {error}")
        return
    chain(machine, dhcp(machine["mac"], IPXE), configure)


def chain(machine, lease, configured):
    if not lease:
        say("iPXE: no configuration by DHCP")
        return
    configured(lease)
    try:
        Script(machine, f"chain {lease['file']}").run()
    except Exit:
        say("iPXE: on to the next boot device")


# --- the deploy ramdisk ---------------------------------------------------------------------------

def cpio_member(data, wanted):
    """A file out of an uncompressed newc archive."""
    at = 0
    while data[at:at + 6] == b"070701":
        size, length = int(data[at + 54:at + 62], 16), int(data[at + 94:at + 102], 16)
        name = data[at + 110:at + 110 + length - 1].decode()
        body = (at + 110 + length + 3) & ~3
        if name == wanted:
            return data[body:body + size]
        at = (body + size + 3) & ~3
    return None


def ramdisk(machine, cmdline, initrds):
    """Kernel and init: the command line, the CA of the first archive, an address, the agent again and again."""
    root = os.path.join(machine["dir"], "root")
    say(f"Linux version of firmware.py\nKernel command line: {cmdline}")
    with open(f"{root}/proc/cmdline", "w", encoding="ascii") as file:
        file.write(cmdline)
    ca = "etc/ironic-python-agent/ironic.crt"
    with open(f"{root}/{ca}", "wb") as file:
        file.write(cpio_member(initrds["ca.cpio"], ca))
    ask, configured, identity = (dhcp6, configure6, LINUX6) if machine["v6"] else (dhcp, configure, LINUX)
    while not (lease := ask(machine["mac"], identity)):
        say("ramdisk: no lease")
    configured(lease)
    for _ in range(AGENT_STARTS):
        status = subprocess.run([machine["agent"], "run", "--root", root], check=False).returncode
        if status in (POWER_OFF, REBOOT):
            sys.exit(status)
        say(f"ramdisk: ingot-agent ended with status {status}; starting it again")
    say("ramdisk: ingot-agent does not stay; this machine stands still until its power is cut")
    signal.pause()


# --- the operating system -------------------------------------------------------------------------

def disk_path(machine):
    return f"{machine['dir']}/root/dev/{machine['disk'][2]}"


def boot_disk(machine):
    with open(disk_path(machine), "rb") as disk:
        sector = disk.read(512)
    if sector[510:] != b"\x55\xaa":
        say("Boot failed: not a bootable disk")
        return
    say("Booting from Hard Disk...")
    operating_system(machine)


def partitions(path):
    """(start, length) in bytes, by sgdisk."""
    table = re.findall(r"^ +\d+ +(\d+) +(\d+) ", run("sgdisk", "-p", path), re.M)
    return [(int(first) * 512, (int(last) - int(first) + 1) * 512) for first, last in table]


def image_is_whole(path, start):
    with open(path, "rb") as disk:
        disk.seek(start)
        head = disk.read(4096)
        told = json.loads(head.rstrip(b"\0") or "{}")
        digest = hashlib.sha256()
        left = told["length"]
        while left > 0:
            piece = disk.read(min(left, 1 << 20))
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest() == told["sha256"]


def config_drive(path):
    """meta_data and user_data ("" without) of the partition whose file system has the label config-2."""
    for start, length in partitions(path):
        label = subprocess.run(["blkid", "-p", "-O", str(start), "-S", str(length), "-s", "LABEL", "-o", "value", path],
                               capture_output=True, text=True, check=False).stdout.strip()
        if label == "config-2":
            run("dd", f"if={path}", "of=/tmp/config-2.iso", "bs=512", f"skip={start // 512}", f"count={length // 512}")
            run("xorriso", "-osirrox", "on", "-indev", "/tmp/config-2.iso", "-extract", "/", "/tmp/config-2")
            with open("/tmp/config-2/openstack/latest/meta_data.json", encoding="utf-8") as file:
                meta = json.load(file)
            if not os.path.exists("/tmp/config-2/openstack/latest/user_data"):
                return meta, ""
            with open("/tmp/config-2/openstack/latest/user_data", encoding="utf-8") as file:
                return meta, file.read()
    raise LookupError("no partition has the label config-2")


def operating_system(machine):
    path = disk_path(machine)
    try:
        whole = image_is_whole(path, partitions(path)[0][0])
    except (IndexError, KeyError, ValueError, subprocess.CalledProcessError):
        whole = False
    if not whole:
        say("Kernel panic - not syncing: the files of this system are damaged")
        forever()
    lease = dhcp6(machine["mac"], LINUX6) if machine["v6"] else dhcp(machine["mac"], LINUX)
    if lease:
        (configure6 if machine["v6"] else configure)(lease)
    meta, user_data = config_drive(path)
    nonce = re.search(r"lab-report, (\w+)", user_data) or ["", "none"]
    key = next(iter(meta.get("public_keys", {}).values()), "none")
    say(f"LAB-REPORT nonce={nonce[1]} host={meta['local-hostname']} firmware=bios root=/dev/{machine['disk'][2]}p1 uptime=1 "
        f"addresses={NIC}={lease['address'] if lease else ''} key={key}")
    forever()


def main(machine):
    say(f"\nNative firmware, boot order: {' '.join(machine['order'])}")
    run("ip", "link", "set", "lo", "up")
    if machine["v6"]:  # firmware does not wait for the kernel's look for duplicates
        with open(f"/proc/sys/net/ipv6/conf/{NIC}/accept_dad", "w", encoding="ascii") as file:
            file.write("0")
    run("ip", "link", "set", NIC, "up")
    for device in machine["order"]:
        {"disk": boot_disk, "nic": boot_network6 if machine["v6"] else boot_network, "cd": lambda _: None}[device](machine)
    say("No bootable device.")
    forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
