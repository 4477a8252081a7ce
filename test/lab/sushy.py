"""BMCs that nobody here wrote: the Redfish emulator of sushy-tools (hack/peer-sushy), before nothing (its fake driver) or before guests of
libvirt. Each has an address of its own in the lab and a log of what it was asked, which is the emulator's."""
import functools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import uuid

from server import LabError, run

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.abspath("build/peers/sushy")
PORT = 8000
REQUEST = re.compile(r'"(?:\x1b\[\d+m)*([A-Z]+) (\S+) HTTP/1\.[01](?:\x1b\[\d+m)*" (\d+)')


@functools.cache
def missing():
    """Why there is no emulator, or None."""
    done = subprocess.run([os.path.join(HERE, "../../hack/peer-sushy"), TREE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return None
    return "sushy-tools cannot be installed from PyPI: " + (done.stdout.strip().splitlines() or ["?"])[-1]


class Emulator:
    """One process with one system. driver: further lines of its configuration; without any it is the fake driver."""

    def __init__(self, lab, number, name, tls=False, system=None, driver=None):
        self.lab, self.name, self.tls = lab, name, tls
        self.address = f"10.78.0.{200 + number}"
        self.user, self.password = "admin", secrets.token_hex(6)
        self.uuid = system or str(uuid.uuid4())
        self.mac = f"52:54:00:78:00:{number:02x}"
        self.dir = os.path.join(lab.dir, f"sushy-{name}")
        os.makedirs(os.path.join(self.dir, "state"))
        lab.ip("address", "add", f"{self.address}/24", "dev", "bmc0")
        self._configure(driver)
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def url(self, scheme="redfish"):
        return f"{scheme}{'' if self.tls else '+http'}://{self.address}:{PORT}/redfish/v1/Systems/{self.uuid}"

    # --- what it was asked, and what it says ---

    def asked(self):
        """(method, path, status) of each request, in order."""
        with open(self.path("log"), errors="replace") as log:
            return [(m, p, int(s)) for m, p, s in REQUEST.findall(log.read())]

    def asked_with(self, method, part=""):
        return [(p, s) for m, p, s in self.asked() if m == method and part in p]

    def system(self):
        """As a person with curl sees it."""
        scheme = "https" if self.tls else "http"
        return json.loads(self.lab.exec(["curl", "-sSkf", "-u", f"{self.user}:{self.password}",
                                         f"{scheme}://{self.address}:{PORT}/redfish/v1/Systems/{self.uuid}"]))

    # --- faults ---

    def stop(self):
        self._process.kill()
        self._process.wait()

    def start(self):
        arguments = ["--ssl-certificate", self.path("crt"), "--ssl-key", self.path("key")] if self.tls else []
        self._process = self.lab.popen([os.path.join(TREE, "bin/sushy-emulator"), "--config", self.path("config.py"), "-i", self.address,
                                        "-p", str(PORT), *arguments], log=self.path("log"), cwd=self.dir,
                                       env={**os.environ, "NO_COLOR": "1"})
        self._wait()

    # --- set-up ---

    def _configure(self, driver):
        with open(self.path("config.py"), "w") as file:
            file.write(f"SUSHY_EMULATOR_STATE_DIR = {self.path('state')!r}\nSUSHY_EMULATOR_AUTH_FILE = {self.path('auth')!r}\n")
            file.write(driver or "SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_FAKE_SYSTEMS = " + repr([{
                "uuid": self.uuid, "name": self.name, "power_state": "Off", "nics": [{"mac": self.mac, "ip": ""}]}]) + "\n")
        hashed = run([os.path.join(TREE, "bin/python"), "-c", "import bcrypt, sys\nprint(bcrypt.hashpw(sys.argv[1].encode(), "
                      "bcrypt.gensalt(4)).decode())", self.password]).strip()
        with open(self.path("auth"), "w") as file:
            file.write(f"{self.user}:{hashed}\n")
        if self.tls:
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                 "/CN=bmc", "-addext", f"subjectAltName=IP:{self.address}", "-keyout", self.path("key"), "-out", self.path("crt")])

    def _wait(self, deadline=60):
        """Until it accepts connections: it tells nobody when it does."""
        end = time.monotonic() + deadline
        while time.monotonic() < end and self._process.poll() is None:
            with self.lab.inside():
                client = socket.socket()
            with client:
                if client.connect_ex((self.address, PORT)) == 0:
                    return
            time.sleep(0.05)
        raise LabError(f"the emulator {self.name} does not answer; see {self.path('log')}")


if __name__ == "__main__":
    sys.exit(missing())
