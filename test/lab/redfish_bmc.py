"""redfish_bmc.py CONFIG: OpenStack's Redfish emulator (PyPI's sushy-tools) as the BMC of one server of the lab.

What it answers to Redfish is the emulator's own. Only its driver is from here: where its others ask libvirt or Nova, this one asks the
lab, by the same requests as the chassis program of ipmi_sim. Runs with the Python that hack/peer-sushy installed.

CONFIG is JSON: address, port, uuid, name, mac, user, password, socket (of the lab), firmware, dir, certificate (PEM with key, or null).
"""
import json
import os
import socket
import sys

import bcrypt
from sushy_tools import error
from sushy_tools.emulator import main
from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver

with open(sys.argv[1], encoding="utf-8") as file:
    CONFIG = json.load(file)

DEVICES = {"Pxe": "pxe", "Hdd": "default", "Cd": "cdrom", "UefiHttp": "pxe"}
POWER = {"On": ("power", "1"), "ForceOn": ("power", "1"), "ForceOff": ("power", "0"), "GracefulShutdown": ("shutdown", "1"),
         "GracefulRestart": ("reset", "1"), "ForceRestart": ("reset", "1")}


def lab(verb, what, value=""):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(CONFIG["socket"])
    client.sendall("\0".join([CONFIG["name"], verb, what, value]).encode())
    client.shutdown(socket.SHUT_WR)
    answer = client.makefile().read()
    if not answer.startswith("ok"):
        raise error.FishyError(answer or "the lab gives no answer")
    return answer[2:].strip().partition(":")[2]


class LabDriver(AbstractSystemsDriver):
    """One system. What it is told holds until it is told otherwise, as with libvirt."""

    @classmethod
    def initialize(cls, config, logger, *_, **__):
        super().initialize(config, logger)
        return cls

    def __init__(self):
        super().__init__()
        self._device = "Hdd"
        self._mode = "UEFI" if CONFIG["firmware"] == "uefi" else "Legacy"
        self._secure_boot = False
        self._images = {}

    driver = "<lab>"
    systems = [CONFIG["uuid"]]

    def uuid(self, identity):
        if identity not in (CONFIG["uuid"], CONFIG["name"]):
            raise error.NotFound(f"{identity} is not here")
        return CONFIG["uuid"]

    def name(self, identity):
        self.uuid(identity)
        return CONFIG["name"]

    def get_power_state(self, identity):
        self.uuid(identity)
        return "On" if lab("get", "power") == "1" else "Off"

    def set_power_state(self, identity, state):
        self.uuid(identity)
        if state not in POWER:
            raise error.NotSupportedError(f"{state} is not supported")
        lab("set", *POWER[state])

    def get_boot_device(self, identity):
        self.uuid(identity)
        return self._device

    def set_boot_device(self, identity, boot_source):
        self.uuid(identity)
        lab("set", "boot", DEVICES[boot_source])
        self._device = boot_source

    def get_boot_mode(self, identity):
        self.uuid(identity)
        return self._mode

    def set_boot_mode(self, identity, boot_mode):
        self.uuid(identity)
        self._mode = boot_mode

    def get_secure_boot(self, identity):
        self.uuid(identity)
        return self._secure_boot

    def set_secure_boot(self, identity, secure):
        self.uuid(identity)
        self._secure_boot = secure

    def get_nics(self, identity):
        self.uuid(identity)
        return [{"id": CONFIG["mac"], "mac": CONFIG["mac"]}]

    def get_boot_image(self, identity, device):
        self.uuid(identity)
        return self._images.get(device, (None, False, False))

    def set_boot_image(self, identity, device, boot_image=None, write_protected=True):
        self.uuid(identity)
        lab("set", "medium", boot_image or "")
        self._images[device] = (boot_image, write_protected, bool(boot_image))


def write_users(path):
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{CONFIG['user']}:{bcrypt.hashpw(CONFIG['password'].encode(), bcrypt.gensalt(4)).decode()}\n")


users = os.path.join(CONFIG["dir"], "redfish.users")
write_users(users)
main.fakedriver.FakeDriver = LabDriver
settings = {"SUSHY_EMULATOR_FAKE_DRIVER": True, "SUSHY_EMULATOR_AUTH_FILE": users, "SUSHY_EMULATOR_LISTEN_IP": CONFIG["address"],
            "SUSHY_EMULATOR_LISTEN_PORT": CONFIG["port"], "SUSHY_EMULATOR_STATE_DIR": CONFIG["dir"]}
if CONFIG["certificate"]:
    settings |= {"SUSHY_EMULATOR_SSL_CERT": CONFIG["certificate"], "SUSHY_EMULATOR_SSL_KEY": CONFIG["certificate"]}
main.app.configure(extra_config=settings)
sys.argv = [sys.argv[0]]
sys.exit(main.main())
