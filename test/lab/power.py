"""A guest whose power can be cut: a disk that forgets what it was not told to keep, and the machine on it.

    disk = Disk(image)               # serves NBD; bytes in, bytes out
    guest = Guest(directory, disk, initramfs, port)
    disk.cut_at(100)                 # the power goes at the hundredth write or flush from now; disk.dark is set then
    disk.survivors(random)           # QEMU killed: disk.image becomes what such a disk may hold

The disk has a volatile cache, as real ones have. A write is in it until a flush ends; what was written after the last flush survives a
cut in any subset, by sectors, and older contents of a sector may come back. Killing QEMU alone would show nothing: what it has written
is in the host's page cache. Nothing is dropped while the power is on.
"""
import os
import socket
import struct
import subprocess
import tempfile
import threading

SECTOR = 4096  # smaller ones would tear ext4's superblock, which is its own affair and e2fsck's
REQUEST, REPLY = struct.Struct(">IHHQQI"), struct.Struct(">IIQ")
READ, WRITE, DISCONNECT, FLUSH = range(4)
FLAG_FUA = 1
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
EXPORT_NAME, ABORT = 1, 2


class Gone(Exception):
    """The peer, or the power."""


class Disk:
    """One export over a Unix socket, one client at a time; the NBD protocol's fixed newstyle, as far as QEMU uses it."""

    def __init__(self, image, lies=False):
        self.image = bytearray(image)  # what is on the medium
        self.seen = bytearray(image)  # what the guest reads
        self.cache = []  # (offset, bytes), written since the last flush
        self.lies = lies  # says that it has flushed, and has not
        self.flushes = 0
        self.lock, self.closed = threading.Lock(), threading.Event()
        self.writes_left, self.dark = None, threading.Event()
        self.on_dark = lambda: None
        self.directory = tempfile.TemporaryDirectory(prefix="ingot-disk-")
        self.path = self.directory.name + "/nbd"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        if self.closed.is_set():
            return
        self.closed.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.directory.cleanup()

    def _serve(self):
        while not self.closed.is_set():
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                try:
                    self._greet(peer)
                    while self._answer(peer):
                        pass
                except (Gone, OSError):
                    pass

    @staticmethod
    def _take(peer, size):
        data = bytearray()
        while len(data) < size:
            piece = peer.recv(size - len(data))
            if not piece:
                raise Gone
            data += piece
        return bytes(data)

    def _greet(self, peer):
        peer.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 1))
        self._take(peer, 4)
        while True:
            _, option, size = struct.unpack(">QII", self._take(peer, 16))
            self._take(peer, size)
            if option == EXPORT_NAME:
                peer.sendall(struct.pack(">QH", len(self.image), HAS_FLAGS | SEND_FLUSH | SEND_FUA) + bytes(124))
                return
            if option == ABORT:
                raise Gone
            peer.sendall(struct.pack(">QIII", 0x3E889045565A9, option, 1 << 31 | 1, 0))  # not supported

    def _answer(self, peer):
        _, flags, command, cookie, offset, size = REQUEST.unpack(self._take(peer, REQUEST.size))
        if command == DISCONNECT:
            return False
        data = self._take(peer, size) if command == WRITE else b""
        with self.lock:
            served = not self._is_dark(command)
            body = self._do(command, offset, size, data, flags & FLAG_FUA) if served else b""
        if not served:
            self.closed.wait()  # an error would be an answer, and the guest would tell somebody
            raise Gone
        peer.sendall(REPLY.pack(0x67446698, 0, cookie) + body)
        return True

    def _do(self, command, offset, size, data, fua):
        if command == READ:
            return bytes(self.seen[offset:offset + size])
        if command == WRITE:
            self.seen[offset:offset + size] = data
            self.cache.append((offset, data))
        elif command != FLUSH:
            raise Gone
        if (command == FLUSH or fua) and not self.lies:
            self._keep()
        return b""

    def _keep(self):
        self.flushes += 1
        for offset, data in self.cache:
            self.image[offset:offset + len(data)] = data
        self.cache.clear()

    def _is_dark(self, command):
        if self.writes_left is not None and command != READ:
            self.writes_left -= 1
            if self.writes_left <= 0 and not self.dark.is_set():
                self.dark.set()
                self.on_dark()
        return self.dark.is_set()

    def cut_at(self, writes):
        """From that write or flush on, counted from now, nothing is answered: a moment in the middle of what it does. Sets `dark`.
        None: never."""
        with self.lock:
            self.writes_left = writes

    def survivors(self, random):
        """Of what was not flushed a random part gets onto the medium: none, some, or all of it; of a write, some of its sectors. Of what a liar
        did not flush nothing does."""
        share = 0 if self.lies else random.choice((0, random.random(), 1))
        kept = 0
        for offset, data in self.cache:
            for at in range(0, len(data), SECTOR):
                if random.random() < share:
                    self.image[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
                    kept += 1
        return kept, sum(len(data) // SECTOR for _, data in self.cache)


class Guest:
    """One boot of the deploy ramdisk's kernel and programs with more on top, the disk as /dev/vda; a port of it reached from here."""

    def __init__(self, directory, disk, initramfs, port):
        self.console = directory + "/console"
        self.port = port
        open(self.console, "a").close()
        self.start = os.path.getsize(self.console)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "pc,graphics=off",
             "-smp", "1", "-m", "384", "-nodefaults", "-display", "none", "-no-reboot",
             "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
             "-kernel", "build/ramdisk/virt/vmlinuz", "-initrd", initramfs,
             "-append", "console=ttyS0 quiet rdinit=/power-init panic=-1 random.trust_cpu=on",
             "-drive", f"id=disk,file=nbd+unix:///?socket={disk.path},format=raw,if=none,cache=writeback",
             "-device", f"virtio-blk-pci,drive=disk,logical_block_size={SECTOR},physical_block_size={SECTOR}",
             "-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:6443", "-device", "virtio-net-pci,netdev=n0,romfile=",
             "-device", "virtio-rng-pci"])

    def note(self, text):
        """A line on the console that is not the guest's, for who waits on the file."""
        with open(self.console, "a", encoding="ascii") as file:
            file.write(f"\n# {text}\n")

    def said(self):
        with open(self.console, errors="replace") as file:
            file.seek(self.start)
            return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait()


DRIVERS = ("virtio", "virtio_ring", "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_blk", "failover", "net_failover",
           "virtio_net", "virtio-rng")


def initramfs(directory, program, init):
    """busybox and drivers of the deploy ramdisk, and a program with its libraries; not compressed, which is what an emulated boot would
    spend its time on."""
    root = directory + "/root"
    os.makedirs(root + "/proc")
    wanted = ["usr/bin/*", "bin", "lib", "lib64", "sbin"] + [f"usr/lib/modules/*/{name}.ko" for name in DRIVERS] + ["usr/lib/modules/*/modules.*"]
    subprocess.run("zstd -dcq $OLDPWD/build/ramdisk/virt/initramfs | cpio --quiet -idm " + " ".join(f"'{w}'" for w in wanted), shell=True,
                   check=True, cwd=root, env=dict(os.environ, OLDPWD=os.getcwd()))
    os.remove(root + "/usr/bin/ingot-agent")
    libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    paths = [word for line in libraries.splitlines() for word in line.split() if word.startswith("/")]
    for source in [program] + paths:
        target = root + ("/usr/bin/ingot" if source == program else "/usr/lib64/" + os.path.basename(source) if "ld-linux" in source else
                         "/usr/lib/x86_64-linux-gnu/" + os.path.basename(source))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run(["cp", "-L", source, target], check=True)
    subprocess.run(["strip", root + "/usr/bin/ingot"], check=True)
    for name in ("sys", "dev", "run", "tmp"):
        os.mkdir(f"{root}/{name}")
    with open(root + "/power-init", "w") as file:
        file.write(init)
    os.chmod(root + "/power-init", 0o755)
    path = directory + "/initramfs"
    with open(path, "wb") as out:
        subprocess.run("find . -mindepth 1 | cpio --quiet -o -H newc", shell=True, check=True, cwd=root, stdout=out)
    return path
