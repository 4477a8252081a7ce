"""Ramdisks: their size, and the time from a guest's power-on to its inventory, kernel and initramfs loaded directly.

The receiver stands in for the server: it takes the inventory that the agent posts (`ipa-inspection-callback-url`) and notes when. QEMU
emulates the processor, as in the whole lab; a real one is much faster.
"""
import http.server
import json
import os
import subprocess
import threading
import time

from rows import median, row

RUNS, MEMORY, DEADLINE = 3, 512, 120
# With the firmware files of its drivers generic may have 140 MB, without 60.
SIZES = {"virt": 12, "generic": 140}


def path(flavour, name):
    return f"build/ramdisk/{flavour}/{name}"


def sizes():
    for flavour, limit in SIZES.items():
        if os.path.exists(path(flavour, "initramfs")):
            row(f"{flavour} ramdisk (kernel apart)", os.path.getsize(path(flavour, "initramfs")) / 1e6, "MB", most=limit)
        else:
            row(f"{flavour} ramdisk (kernel apart)", None, "MB", note=f"not built: make ramdisk FLAVOUR={flavour}")


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.inventory = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.came.set()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def boot(flavour, log):
    """Seconds from the start of QEMU to the inventory."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.came, server.inventory = threading.Event(), None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    line = f"console=ttyS0 ipa-inspection-callback-url=http://10.0.2.2:{server.server_port}/v1/continue_inspection"
    began = time.monotonic()
    guest = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "pc,graphics=off",
         "-smp", "2", "-m", str(MEMORY), "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{log}",
         "-kernel", path(flavour, "vmlinuz"), "-initrd", path(flavour, "initramfs"), "-append", line,
         # The agent waits for a disk to appear.
         "-drive", "file=build/bench/disk.raw,format=raw,if=virtio,cache=unsafe", "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci"])
    try:
        if not server.came.wait(DEADLINE):
            with open(log, errors="replace") as file:
                raise RuntimeError(f"no inventory after {DEADLINE} s; end of the console:\n{file.read()[-2000:]}")
        return time.monotonic() - began
    finally:
        guest.kill()
        guest.wait()
        server.shutdown()


def measure():
    sizes()
    os.makedirs("build/bench", exist_ok=True)
    with open("build/bench/disk.raw", "wb") as disk:
        disk.truncate(1 << 30)
    for flavour in SIZES:
        if os.path.exists(path(flavour, "initramfs")):
            times = [boot(flavour, f"build/bench/{flavour}.log") for _ in range(RUNS)]
            # The bar is for guests, and virt is the ramdisk for them; generic, with every driver and its firmware, is for machines.
            row(f"{flavour}: guest's power-on to inventory ({MEMORY} MB, emulated)", median(times), "s", most=8 if flavour == "virt" else None,
                note="runs: " + ", ".join(f"{t:.1f}" for t in times))
