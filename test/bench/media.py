"""Boot media for 1,000 slow BMCs at once: what each costs the server, and what somebody else still gets (test/bench/media.c)."""
import json
import os
import resource
import socket
import ssl
import subprocess
import tempfile
import time

from rows import row

PROGRAM, RAMDISK = "build/release/bench_media", "build/ramdisk/virt"
READERS, ROUNDS, PIECE = 1000, 20, 2048
FILES_MAX = 4096


def raise_limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))


def anonymous_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def reader(port, path, context):
    """A window of some KB; it has asked, and reads when it is told to."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s = context.wrap_socket(s, server_hostname="127.0.0.1") if context else s
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return s


def whole(url, *more):
    """How long another reader takes for all of it."""
    began = time.monotonic()
    subprocess.run(["curl", "-sSf", "-o", "/dev/null", *more, url], check=True, timeout=300)
    return time.monotonic() - began


def certify(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=media",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"], check=True, capture_output=True, cwd=directory)
    return [os.path.join(directory, name) for name in ("cert.pem", "key.pem")]


def measure_one(name, pair):
    server = subprocess.Popen([PROGRAM, f"{RAMDISK}/vmlinuz", f"{RAMDISK}/initramfs", f"{RAMDISK}/loaders", "console=ttyS0", "-", "serve", *pair],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=raise_limit)
    at = json.loads(server.stdout.readline())
    context = ssl.create_default_context(cafile=pair[0]) if pair else None
    url, more = f"{'https' if pair else 'http'}://127.0.0.1:{at['port']}{at['path']}", ["--cacert", pair[0]] if pair else []
    try:
        alone = whole(url, *more)
        before = anonymous_kib(server.pid)
        readers = [reader(at["port"], at["path"], context) for _ in range(READERS)]
        got = 0
        for _ in range(ROUNDS):
            for s in readers:
                got += len(s.recv(PIECE))
        beside = whole(url, *more)
        each = (anonymous_kib(server.pid) - before) / READERS
        row(f"boot medium over {name}, {READERS} slow readers: memory for each", each, "KiB", most=64,
            note=f"{got / 1024 / READERS:.0f} KiB read by each, with windows of some KB; anonymous memory of the server")
        row(f"boot medium over {name}, {at['size'] >> 20} MiB beside them", beside, "s", note=f"alone: {alone:.2f} s")
        for s in readers:
            s.close()
    finally:
        server.stdin.close()
        server.wait(30)


def measure():
    raise_limit()
    measure_one("HTTP", [])
    with tempfile.TemporaryDirectory() as directory:
        measure_one("HTTPS", certify(directory))
