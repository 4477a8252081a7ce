"""The built image in containers, as a kubelet and its runtime would run them: crun, on a bundle made from the image and a pod's spec.

    image = Image("build/image/layout")
    image.unpack(f"{directory}/rootfs")
    argv = bundle(directory, container, pod=..., runtime=Runtime(keeps_permitted=True), ...)
    lab.popen(argv)

What a kubelet does is done here for what our manifests use: env with fieldRef, $(VAR) in args, the service account's files,
capabilities, user, seccomp, a root that is read-only, the host's network. Needs root and Debian's crun and golang-github-containers-common
(for the seccomp profile that runtimes call RuntimeDefault).
"""
import dataclasses
import json
import os
import re
import shutil
import subprocess

SECCOMP = "/usr/share/containers/seccomp.json"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# As containerd and CRI-O have them where a pod neither drops nor adds.
DEFAULT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
                        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")


def missing():
    """Why there can be no containers, or None."""
    for program in ("crun", "skopeo"):
        if not shutil.which(program):
            return f"{program} is not installed: `make setup`"
    return None if os.path.exists(SECCOMP) else f"{SECCOMP} is not there: `make setup`"


class Image:
    def __init__(self, layout):
        self.layout = layout
        with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
            self.manifest = self._blob_json(json.load(file)["manifests"][0]["digest"])
        self.config = self._blob_json(self.manifest["config"]["digest"])["config"]

    def blob(self, digest):
        return os.path.join(self.layout, "blobs", *digest.split(":"))

    def _blob_json(self, digest):
        with open(self.blob(digest), encoding="utf-8") as file:
            return json.load(file)

    def unpack(self, directory):
        """With owners and file capabilities, so as root. No layer of ours takes anything away."""
        os.makedirs(directory)
        for layer in self.manifest["layers"]:
            subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", directory, "-xzpf",
                            self.blob(layer["digest"])], check=True)


@dataclasses.dataclass
class Runtime:
    """In what runtimes differ: containerd and CRI-O leave the added capabilities permitted until the program starts; Docker takes
    them from users other than root."""
    keeps_permitted: bool = True


# --- what a kubelet does --------------------------------------------------------------------------------


def environment(container, fields):
    values = {}
    for var in container.get("env", []):
        source = var.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        values[var["name"]] = fields[source] if source else var["value"]
    return values


def expand(text, values):
    return re.sub(r"\$\((\w+)\)", lambda m: values.get(m[1], m[0]), text)


def seccomp(capabilities):
    """The distribution's profile in the form of the runtime specification: rows that hold for amd64 and these capabilities."""
    with open(SECCOMP, encoding="utf-8") as file:
        profile = json.load(file)

    def holds(row):
        want, unwanted = row.get("includes", {}), row.get("excludes", {})
        return (set(want.get("caps", [])) <= set(capabilities) and "amd64" in want.get("arches", ["amd64"])
                and not set(unwanted.get("caps", [])) & set(capabilities) and "amd64" not in unwanted.get("arches", []))
    rows = [{key: row[key] for key in ("names", "action", "errnoRet", "args") if row.get(key) is not None}
            for row in profile["syscalls"] if holds(row)]
    return {"defaultAction": profile["defaultAction"], "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rows}


def bounding(security):
    change = security.get("capabilities", {})
    kept = set() if "ALL" in change.get("drop", []) else set(DEFAULT_CAPABILITIES) - set(change.get("drop", []))
    return sorted("CAP_" + name for name in kept | set(change.get("add", [])))


def process(image, container, security, runtime, values):
    capabilities = bounding(security)
    uid = security.get("runAsUser", int(image.config["User"].split(":")[0]))
    if security.get("runAsNonRoot") and uid == 0:
        raise RuntimeError("the kubelet would not start this: runAsNonRoot, and the user is root")
    owned = capabilities if uid == 0 or runtime.keeps_permitted else []
    command = container.get("command", image.config["Entrypoint"])
    return {"user": {"uid": uid, "gid": security.get("runAsGroup", uid)}, "cwd": "/",
            "args": [*command, *(expand(word, values) for word in container.get("args", []))],
            "env": [*image.config["Env"], *(f"{key}={value}" for key, value in values.items())],
            "noNewPrivileges": not security.get("allowPrivilegeEscalation", True),
            "capabilities": {"bounding": capabilities, "permitted": owned, "effective": owned}}


def mount(where, kind, *options):
    return {"destination": where, "type": kind, "source": kind, "options": ["nosuid", "noexec", *options]}


def bind(source, where, mode="ro"):
    return {"destination": where, "type": "bind", "source": source, "options": ["bind", mode]}


def spec(image, rootfs, container, pod, runtime, fields, volumes, cluster):
    """config.json of the runtime specification."""
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    setup = process(image, container, security, runtime, {**cluster, **environment(container, fields)})
    namespaces = ["pid", "mount", "ipc", "uts"] + ([] if pod.get("hostNetwork") else ["network"])
    linux = {"namespaces": [{"type": kind} for kind in namespaces]}
    if security.get("seccompProfile", {}).get("type") == "RuntimeDefault":
        linux["seccomp"] = seccomp(setup["capabilities"]["bounding"])
    return {"ociVersion": "1.0.2", "process": setup, "linux": linux, "hostname": "node",
            "root": {"path": rootfs, "readonly": security.get("readOnlyRootFilesystem", False)},
            "mounts": [mount("/proc", "proc"), mount("/dev", "tmpfs", "mode=755"), mount("/dev/shm", "tmpfs", "mode=1777"),
                       *volumes]}


def bundle(directory, image, rootfs, container, pod=None, runtime=Runtime(), fields=None, files=None, writable=None,
           cluster=None):
    """Makes a bundle and gives the command that runs it, in the network of whoever starts it. fields: what fieldRef finds; files, writable:
    path in the container to path here; cluster: the environment that tells of the API server."""
    os.makedirs(directory)
    volumes = [bind(path, where) for where, path in (files or {}).items()] + [bind(path, where, "rw") for where, path in (writable or {}).items()]
    config = spec(image, os.path.abspath(rootfs), container, pod or {"hostNetwork": True}, runtime, fields or {}, volumes, cluster or {})
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
    # crun wants to see one kind of cgroups, and machines have one, two or both. It gets a view of its own.
    name = f"ingot-{os.getpid()}-{os.path.basename(directory)}"
    return ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "sh", "crun", "--root",
            os.path.join(os.path.abspath(directory), "state"), "--cgroup-manager=disabled", "run", "--bundle", os.path.abspath(directory), name]
