"""Three network namespaces: hosts (cli0) -- relay (down0, up0) -- Ingot (br0); hosts on Ingot's own wire stand behind cli1. The hosts
are registered with kubectl; their BMCs are silent, which DHCP does not ask about.
"""
import json, os, re, signal, subprocess, tempfile, threading

LIMIT_S = 60
INGOT = os.path.abspath(os.environ.get("INGOT") or next((p for p in ("build/san/ingot", "build/ingot") if os.path.exists(p)), "build/ingot"))
TAG = f"ingot-dhcp-{os.getpid()}"
SERVER, RELAY, HOSTS = (f"{TAG}-{name}" for name in ("server", "relay", "hosts"))


def check(condition, *what):
    if not condition:
        raise AssertionError("\n".join(map(str, what)))


def sh(command, ok=True):
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    check(not ok or done.returncode == 0, command, done.stdout)
    return done.stdout


class Program:
    """A process whose output is collected, and waited for. namespace None: the arguments are the whole command."""

    def __init__(self, namespace, *arguments, program=INGOT):
        self.text, self.more = "", threading.Condition()
        # A loop's end drops what is posted to it (loop.h), here the answers of BMCs that were being asked: leaks at the very end.
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        command = ["ip", "netns", "exec", namespace, program] if namespace else []
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.more:
                self.text += line
                self.more.notify_all()

    def wait(self, pattern):
        with self.more:
            check(self.more.wait_for(lambda: re.search(pattern, self.text), LIMIT_S), f"no {pattern!r} in:", self.text)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        check(code == 0, f"ended with {code}:", self.text[-3000:])


class World:
    OURS, API, BMC = "10.77.0.1", "127.0.0.1:6443", "127.0.0.9"

    def __init__(self, directory):
        self.dir = directory
        self.data = os.path.join(directory, "data")
        self.ramdisk = os.path.join(directory, "ramdisk")
        os.makedirs(self.ramdisk)
        for name in ("vmlinuz", "initramfs"):
            with open(os.path.join(self.ramdisk, name), "w") as f:
                f.write("never booted")
        for name in (SERVER, RELAY, HOSTS):
            # Nobody looks for duplicates of IPv6 addresses, which takes a second.
            sh(f"ip netns add {name} && ip -n {name} link set lo up && "
               f"ip netns exec {name} sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'")
        for one, its, two, other in ((SERVER, "srv1", RELAY, "up0"), (RELAY, "down0", HOSTS, "cli0"), (SERVER, "srv2", HOSTS, "cli1")):
            sh(f"ip -n {one} link add {its} type veth peer name {other} netns {two} && ip -n {one} link set {its} up && "
               f"ip -n {two} link set {other} up")
        sh(f"ip -n {SERVER} link add br0 type bridge && ip -n {SERVER} link set srv1 master br0 && "
           f"ip -n {SERVER} link set srv2 master br0 && ip -n {SERVER} link set br0 up")
        self.address()

    def address(self):
        sh(f"ip -n {SERVER} addr add 10.77.0.1/24 dev br0 && ip -n {SERVER} route add 10.88.0.0/24 via 10.77.0.2 && "
           f"ip -n {HOSTS} addr add 10.99.0.1/32 dev cli1 && ip -n {HOSTS} route add 10.77.0.0/24 dev cli1 src 10.99.0.1 && "
           f"ip -n {SERVER} route add 10.99.0.1 dev br0 && "
           f"ip -n {RELAY} addr add 10.77.0.2/24 dev up0 && ip -n {RELAY} addr add 10.88.0.1/24 dev down0")

    def close(self):
        for name in (SERVER, RELAY, HOSTS):
            sh(f"ip netns del {name}", ok=False)

    def arguments(self, *more):
        return ["standalone", "--data-dir", self.data, "--api-bind", self.API, "--provisioning-interface", "br0",
                "--provisioning-address", self.OURS, "--ramdisk", self.ramdisk, *more]

    def kubectl(self, arguments, stdin=None):
        done = subprocess.run(["ip", "netns", "exec", SERVER, "kubectl", "--kubeconfig", f"{self.data}/kubeconfig", *arguments.split()],
                              input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S)
        check(done.returncode == 0, "kubectl " + arguments, done.stdout)
        return done.stdout

    def host(self, name, mac, **annotations):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bmc", "namespace": "default"},
                  "stringData": {"username": "a", "password": "b"}}
        host = {"apiVersion": "metal3.io/v1alpha1", "kind": "BareMetalHost",
                "metadata": {"name": name, "namespace": "default", "annotations": annotations},
                "spec": {"online": False, "bootMACAddress": mac, "bootMode": "legacy",
                         "bmc": {"address": f"ipmi://{self.BMC}", "credentialsName": "bmc"}}}
        self.kubectl("apply -f -", "\n".join(map(json.dumps, (secret, host))))


def main(cases, wanted, world_of):
    cases = [c for c in cases if not wanted or c.__name__ in wanted]
    print(f"1..{len(cases)}", flush=True)
    if os.geteuid() != 0:
        for n, case in enumerate(cases, 1):
            print(f"ok {n} - {case.__name__} # SKIP network namespaces need root")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ingot-dhcp-") as directory:
        world = world_of(directory)
        try:
            for n, case in enumerate(cases, 1):
                try:
                    case(world)
                    print(f"ok {n} - {case.__name__}", flush=True)
                except Exception as e:
                    failed += 1
                    print(f"not ok {n} - {case.__name__}\n# " + f"{type(e).__name__}: {e}".replace("\n", "\n# "), flush=True)
        finally:
            world.close()
    return 1 if failed else 0
