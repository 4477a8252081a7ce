#!/usr/bin/python3
"""cage.py CONFIG: the body of a native server (native.py). CONFIG is a JSON object.

Makes namespaces for processes, mounts, host name and network, in them a root directory that holds nothing but the system's programs (read
only), the server's own directory, and two /dev with null, zero, the random devices and one disk; then drops every capability that could
make or reach another device, and becomes the firmware. What is run there runs as root on somebody's machine: it shall not be able to
harm it whatever bug it has. The programs' mounts allow no devices, and without CAP_MKNOD there are no new ones.

Runs in the lab's network namespace, as far as the parent goes, which holds the other end of the cable and the life of all the others.
"""
import ctypes
import json
import os
import signal
import stat
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
CAPABILITIES = "-all,+net_admin,+net_raw,+net_bind_service"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind=None, flags=0, data=None):
    def encode(s):
        return s.encode() if s else None
    check(libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)), f"mount {target}")


def bind(path, root, flags):
    """path at the same place below root; what is mounted below path is left out."""
    os.makedirs(root + path, exist_ok=True)
    mount(path, root + path, flags=MS_BIND)
    mount(None, root + path, flags=MS_BIND | MS_REMOUNT | MS_NODEV | MS_NOSUID | flags)


def device_directory(path, extra):
    os.makedirs(path, exist_ok=True)
    mount("lab", path, "tmpfs", MS_NOSUID, "size=64k,mode=755")
    for name, (major, minor) in DEVICES.items():
        os.mknod(f"{path}/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    for major, minor, name in extra:
        os.mknod(f"{path}/{name}", stat.S_IFBLK | 0o600, os.makedev(major, minor))


def close_cage(config):
    root = os.path.join(config["dir"], "cage")
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("lab", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=256m,mode=755")
    for path in ("/usr", "/etc", config["code"], os.path.dirname(config["agent"])):
        bind(path, root, MS_RDONLY)
    for link in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{link}"):
            os.symlink(os.readlink(f"/{link}"), f"{root}/{link}")
        elif os.path.isdir(f"/{link}"):
            bind(f"/{link}", root, MS_RDONLY)
    bind(config["dir"], root, 0)
    for name in ("tmp", "run", "proc", "sys"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV)
    device_directory(f"{root}/dev", [])
    device_directory(f"{root}{config['dir']}/root/dev", [config["disk"]])
    os.chroot(root)
    os.chdir("/")


def child(config, ready, go):
    os.close(go[1])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET), "unshare")
    check(libc.sethostname(b"ramdisk", 7), "sethostname")
    close_cage(config)
    os.write(ready[1], b"1")
    if os.read(go[0], 1) != b"1":  # the NIC is in its place
        os._exit(1)
    os.execvp("setpriv", ["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", "-all", "--no-new-privs", "--",
                          "/usr/bin/python3", os.path.join(config["code"], "firmware.py"), json.dumps(config)])


def cable(config):
    # Our children are in the namespace of processes that we made: its first process is number 1.
    subprocess.run(["ip", "link", "add", config["tap"], "type", "veth", "peer", "name", "eth0", "address", config["mac"],
                    "netns", "1"], check=True)
    subprocess.run(["ip", "link", "set", config["tap"], *(["master", "br0"] if config["plugged"] else []), "up"], check=True)


def main(config):
    pids = []
    # The first process of the namespace takes all others with it, and is only reaped when they are gone.
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGKILL) for pid in pids] or os._exit(128))
    ready, go = os.pipe(), os.pipe()
    check(libc.unshare(CLONE_NEWPID), "unshare")
    pid = os.fork()
    if pid == 0:
        child(config, ready, go)
    pids.append(pid)
    os.close(ready[1])
    if os.read(ready[0], 1) != b"1":
        return 1
    cable(config)
    os.write(go[1], b"1")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
