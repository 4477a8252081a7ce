"""Image write, natively on a loop device: rate beside the pipeline that people would use, and the agent's peak memory."""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from rows import median, row

AGENT, LAB, CACHE, PAIRS = "build/ingot-agent", "build/lab", "build/bench", 3
# How each source is made from the lab's image, and what reads it in the pipeline.
SOURCES = {"raw": (None, None), "raw.gz": ("gzip -1", "gzip -dc"), "raw.xz": ("xz -2 -T0", "xz -dc"),
           "raw.zst": ("zstd -q -3", "zstd -dc"), "qcow2": (None, None)}
LARGE = 3 << 30


def shell(command):
    return subprocess.run(["bash", "-o", "pipefail", "-ec", command], check=True, capture_output=True, text=True)


# --- the surroundings -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def served(directory):
    """Yields the URL of a directory, served with byte ranges by the lab's image server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lab/images.py")
    with open(os.path.join(CACHE, "faults.json"), "w") as faults:
        faults.write("{}")
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "python3", server, "127.0.0.1", str(port), directory, faults.name],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        if (line := process.stderr.readline()) != "ready\n":
            raise RuntimeError(f"the image server did not start: {line}{process.stderr.read()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def loop_device(directory, size):
    path = os.path.join(directory, "disk")
    with open(path, "wb") as file:
        file.truncate(size)
    device = shell(f"losetup --find --show {path}").stdout.strip()
    try:
        yield device
    finally:
        shell(f"losetup -d {device}")
        os.unlink(path)


def sectors_written(device):
    with open(f"/sys/block/{os.path.basename(device)}/stat") as file:
        return int(file.read().split()[6])


def made(name, command):
    """A file of build/bench, made by a shell command that writes to $out, once."""
    path = os.path.abspath(os.path.join(CACHE, name))
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        shell(f"out={path}.new; {command}; mv $out {path}")
    return path


def checksum(path):
    return shell(f"sha256sum {path}").stdout.split()[0]


def agent(url, digest, device, options=()):
    """Seconds, peak memory; with an image that is refused the error in place of the memory."""
    began = time.monotonic()
    done = subprocess.run([AGENT, "write", "--url", url, "--checksum", digest, "--device", device, *options], capture_output=True, text=True)
    seconds = time.monotonic() - began
    peak = re.search(r"peak_memory=(\d+)", done.stdout)
    return seconds, int(peak[1]) if peak else done.stderr.strip()


# --- rate -------------------------------------------------------------------------------------------------------------

def source(kind):
    if kind in ("raw", "qcow2"):
        return os.path.abspath(f"{LAB}/os.{kind}")
    return made(f"os.{kind}", f"{SOURCES[kind][0]} -c {os.path.abspath(LAB)}/os.raw >$out")


def peer(kind, url, device, scratch):
    """What a person would type. qcow2 needs the whole file before its first byte can be placed."""
    dd = f"dd of={device} bs=1M iflag=fullblock oflag=direct conv=fsync status=none"
    if kind == "qcow2":
        return (f"curl -sf {url} | tee >(sha256sum >/dev/null) >{scratch}/image; "
                f"qemu-img convert -n -t none -f qcow2 -O raw {scratch}/image {device}; sync {device}")
    reader = SOURCES[kind][1]
    return f"curl -sf {url} | tee >(sha256sum >/dev/null) | {reader + ' |' if reader else ''} {dd}"


def timed(command):
    began = time.monotonic()
    shell(command)
    return time.monotonic() - began


def rate(kind, scratch, device):
    path, size = source(kind), os.path.getsize(f"{LAB}/os.raw")
    digest, pairs = checksum(path), []
    with served(os.path.dirname(path)) as base:
        url = f"{base}/{os.path.basename(path)}"
        for _ in range(PAIRS):
            theirs = timed(peer(kind, url, device, scratch))
            ours, peak = agent(url, digest, device)
            if not isinstance(peak, int):
                raise RuntimeError(peak)
            pairs.append((theirs, ours))
    theirs, ours = (size / 1e6 / median(side) for side in zip(*pairs))
    row(f"image write, {kind}: pipeline", theirs, "MB/s")
    row(f"image write, {kind}: ingot-agent", ours, "MB/s")
    row(f"image write, {kind}: ratio", median([t / o for t, o in pairs]), "", least=0.95)


# --- memory -----------------------------------------------------------------------------------------------------------

def large_raw():
    """3 GB, of which 64 MB are data, in pieces all over it."""
    return made("large.raw", f"truncate -s {LARGE} $out; for i in $(seq 0 63); do "
                f"dd if={os.path.abspath(LAB)}/os.raw of=$out bs=1M count=1 skip=$((i * 12)) seek=$((i * 48)) conv=notrunc status=none; done")


def piece_raw():
    """Enough real data to fill the largest dictionary."""
    return made("piece.raw", f"head -c 48M {os.path.abspath(LAB)}/os.raw >$out")


def images():
    """(what, path, most MiB; None: refused where 36 MiB are allowed)"""
    large, piece = large_raw(), piece_raw()
    nine, ultra = made("piece-9.xz", f"xz -9 -c {piece} >$out"), made("piece-22.zst", f"zstd -q -22 --ultra -c <{piece} >$out")
    return [
        ("3 GB raw", large, 64),
        ("3 GB raw, zstd -3 --long=25", made("large.zst", f"zstd -q -3 --long=25 -c {large} >$out"), 64),
        ("1 GB qcow2, 4 KB clusters, all of them mapped",
         made("large.qcow2", f"truncate -s 1G $out.raw; head -c 1G {large} | dd of=$out.raw conv=sparse,notrunc bs=1M status=none; "
              "qemu-img convert -S 0 -f raw -O qcow2 -o cluster_size=4k $out.raw $out; rm $out.raw"), 64),
        ("48 MB raw, xz -8 (dictionary of 32 MB)", made("piece-8.xz", f"xz -8 -c {piece} >$out"), 64),
        # What needs more takes what it needs where the machine has it, and 24 MiB of our own.
        ("48 MB raw, xz -9 (dictionary of 64 MB)", nine, 64 + 24),
        ("48 MB raw, zstd -22 (window of 128 MB)", ultra, 128 + 24),
        ("48 MB raw, xz -9 (dictionary of 64 MB)", nine, None),
        ("48 MB raw, zstd -22 (window of 128 MB)", ultra, None),
        ("48 MB raw, zstd --long=27 (window of 128 MB)", made("piece-27.zst", f"zstd -q -3 --long=27 -c <{piece} >$out"), None),
    ]


def memory(what, path, most, device):
    before = sectors_written(device)
    with served(CACHE) as base:
        small = () if most else ("--memory", "36")
        _, result = agent(f"{base}/{os.path.basename(path)}", checksum(path), device, small)
    if most:
        row(f"agent's peak memory: {what}", result / 2**20 if isinstance(result, int) else None, "MiB", most=most,
            note=None if isinstance(result, int) else result)
        return
    touched = sectors_written(device) - before
    refused = isinstance(result, str)
    row(f"needs too much memory: {what}: sectors written", touched if refused else None, "", most=0, note=str(result)[:230])


def within(measure_part):
    scratch = tempfile.mkdtemp(prefix="ingot-bench-", dir="build")
    try:
        with loop_device(scratch, 5 << 30) as device:
            measure_part(scratch, device)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def measure():
    os.makedirs(CACHE, exist_ok=True)
    within(lambda scratch, device: [rate(kind, scratch, device) for kind in SOURCES])


def measure_memory():
    os.makedirs(CACHE, exist_ok=True)
    within(lambda _, device: [memory(*image, device) for image in images()])
