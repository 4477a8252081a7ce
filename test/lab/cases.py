"""What lab cases share: the kinds of servers, a case with its server and tenant, checks against what the lab saw, and the runner.

A case is a function of a Site. The same function runs on native servers (seconds) and on QEMU guests (a minute): the kind brings the
server, the images and the patience.
"""
import concurrent.futures
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import native
from server import Disk
from site_ingot import Site, Tenant

IMAGE = "os.qcow2"


class Guest:
    """QEMU guests with the lab's operating system."""
    images, image_disk_bytes, patience, parallel = "build/lab", 943718400, 300, 1

    @staticmethod
    def prepare():
        pass

    @staticmethod
    def server(site, name="node-1", firmware="bios", memory=512, **machine):
        return site.lab.server(name, firmware=firmware, memory=memory, **{"disks": [Disk("5G", bus="virtio", fill="16M")], **machine})


class Native:
    """Processes with a made-up image."""
    images, image_disk_bytes, patience, parallel = "build/lab/native", native.IMAGE_MIB << 20, 120, 8

    @classmethod
    def prepare(cls):
        native.make_images(cls.images)

    @staticmethod
    def server(site, name="node-1", firmware="bios", memory=512, **machine):
        return site.lab.native(name, memory=memory, disk=Disk("5G", fill="128M"), **machine)


SESSION_GAP = 5  # seconds between sessions to one BMC, as shipped


def check(condition, what, *detail):
    if not condition:
        raise AssertionError(" ".join([what, *map(str, detail)]))


class Case:
    """One server, its tenant, and the steps that most cases share."""

    def __init__(self, site, firmware="bios", memory=512, machine=None, **spec):
        """machine: what the server has besides, as for Lab.server(); spec: of the BareMetalHost."""
        self.site = site
        self.kind = site.kind
        self.server = site.kind.server(site, firmware=firmware, memory=memory, **(machine or {}))
        self.tenant = Tenant("node-1")
        self.spec = spec

    # --- what a person does ---

    def apply(self, image=None, **more):
        self.site.apply(self.site.credentials(self.server), *self.tenant.objects("node-1"),
                        self.site.bare_metal_host(self.server, image or self.site.image(IMAGE), "node-1-user-data",
                                                  metaData={"name": "node-1-meta-data"}, **self.spec, **more))

    def patch(self, **spec):
        self.site.kubectl("patch", "bmh", "node-1", "--type=merge", "-p", json.dumps({"spec": spec}))

    def nudge(self):
        """Somebody has mended something and wants to see it at once: any annotation ends the back-off."""
        self.site.kubectl("annotate", "bmh", "node-1", "--overwrite", f"lab/mended={time.monotonic_ns()}")

    # --- what the API shows ---

    def status(self):
        return self.site.host("node-1").get("status", {})

    def until(self, what, condition, deadline=None):
        """The host's status once the condition holds, by the watch of the API."""
        deadline = deadline or self.kind.patience
        timer = threading.Timer(deadline, self.site.end_watch)
        timer.daemon = True
        timer.start()
        status = {}
        for _, host in self.site.watch("node-1"):
            status = host.get("status", {})
            if condition(status):
                timer.cancel()
                return status
        raise AssertionError(f"{what}: not within {deadline} s; the status is {json.dumps(status)[:900]}; "
                             f"end of the log: {self.site.log_end(2500)}; end of the console: {self.server.console()[-1500:]}")

    def until_state(self, state, deadline=None):
        return self.until(f"state {state}", lambda s: s.get("provisioning", {}).get("state") == state, deadline)

    def until_error(self, deadline=None):
        return self.until("an error", lambda s: s.get("errorMessage"), deadline)

    def fails_with(self, kind, *words, deadline=None):
        """An error of this type, whose message has all these words."""
        status = self.until_error(deadline)
        check(status["errorType"] == kind, "errorType:", status["errorType"], status["errorMessage"])
        for word in words:
            check(word.lower() in status["errorMessage"].lower(), f"{word!r} is not in the message:", status["errorMessage"])
        return status

    # --- what the lab saw ---

    def hold_at(self, share):
        """From now on the image's bytes come only up to this share of it, until release()."""
        size = os.path.getsize(os.path.join(self.site.images, IMAGE))
        self.site.image_fault(hold_at=int(share * size))

    def until_held(self, deadline=None):
        self.site.wait_image_log(lambda e: "held" in e, deadline or self.kind.patience)

    def release(self):
        self.site.image_fault()

    def runs(self, deadline=None):
        """The operating system reports what its tenant gave it."""
        self.server.wait_console(self.tenant.pattern(self.server.firmware), deadline or self.kind.patience)

    def power_log(self):
        """What Ingot told the BMC about power, in order: (seconds since the first, "on", "off", "reset" or "shutdown", did it change nothing)."""
        names = {("power", "1"): "on", ("power", "0"): "off"}
        told = [e for e in self.server.chassis.entries if e["by"] == "ipmi" and e["set"] in ("power", "reset", "shutdown")]
        return [(e["t"] - told[0]["t"], names.get((e["set"], e["value"]), e["set"]), e["set"] == "power" and int(e["value"]) == e["was"]) for e in told]

    def power_commands(self):
        """Without an on or off that was repeated because the answer was late: it found done what it asks for, and a BMC gets another session
        after 5 s at the earliest, so what comes sooner is the same request. (That a request is sent once when it is answered is for test_ipmi.)"""
        log = self.power_log()
        return [what for (at, what, idle), (before, last, _) in zip(log, [(0, None, False), *log])
                if not (idle and what == last and at - before < SESSION_GAP)]

    def commanded(self, *expected):
        check(self.power_commands() == list(expected), "power commands:", self.power_log())

    def disk_boots(self):
        return sum(e["event"] == "BOOT" and e["order"] != "pxe" for e in self.server.events.entries)

    def bootable(self):
        """Has the disk a boot sector?"""
        with open(self.server.disks[0].path, "rb") as disk:
            return disk.read(512)[510:] == b"\x55\xaa"

    def written_once(self, before=0):
        written, image = self.server.written() - before, self.kind.image_disk_bytes
        check(image * 0.9 <= written <= 1.1 * image + (64 << 20), "not one image was written, but bytes:", written)

    # --- beginnings and ends ---

    def kill_ingot(self):
        """kill -9, and on again."""
        self.site.kill()
        self.site.start()

    def provisioned(self, deadline=None):
        """The end that all provisioning cases share."""
        status = self.until_state("provisioned", deadline)
        check(status["errorMessage"] == "" and status["errorCount"] == 0, "an error is left:", status["errorMessage"])
        self.runs()
        return status

    def deleted(self, deadline=240):
        self.site.kubectl("delete", "bmh", "node-1", f"--timeout={deadline}s", deadline=deadline + 10)
        check(not self.server.powered(), "the server is still on after its host was deleted")
        left = self.site.kubectl("get", "hostrecords,hardwaredata", "-o", "name").strip()
        check(left == "", "left behind:", left)


# --- running them -------------------------------------------------------------------------------------

def run_case(case, kind):
    """None, or why it failed. A case may name its own kind of site (`site`) and how that starts (`begin`)."""
    with tempfile.TemporaryDirectory(prefix="ingot-lab-") as directory:
        try:
            with getattr(case, "site", Site)(os.path.join(directory, "site"), kind.images, options=getattr(case, "options", ())) as site:
                site.kind = kind
                getattr(case, "begin", type(site).start)(site)
                try:
                    case(site)
                except Exception:
                    return f"{traceback.format_exc()}end of the log:\n{site.log_end(6000)}"
        except Exception:
            return traceback.format_exc()
    return None


def report(number, case, why, seconds):
    print(f"{'not ok' if why else 'ok'} {number} - {case} ({seconds:.0f} s)", flush=True)
    if why:
        print("\n".join("# " + line for line in why.splitlines()), flush=True)


def in_process(case):
    """The case in a process of its own, as `PROGRAM CASE`: None, or what it printed when it failed."""
    done = subprocess.run([sys.executable, sys.argv[0], case.__name__], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return None if done.returncode == 0 else done.stdout


def main(cases, kind, wanted, full_cases=()):
    """TAP. The full cases run with LAB_FULL=1, or by name. Native cases wait most of the time (for BMCs, which are asked every five seconds, and for heartbeats), so many run side by side,
    each in a network namespace and a process of its own."""
    every = [*cases, *full_cases]
    unknown = set(wanted) - {c.__name__ for c in every}
    check(not unknown, "no such case:", *unknown)
    kind.prepare()
    if wanted:
        cases = [c for c in every if c.__name__ in wanted]
    elif os.environ.get("LAB_FULL") == "1":
        cases = every
    elif full_cases:
        print("# not run without LAB_FULL=1:", *(c.__name__ for c in full_cases))
    print(f"1..{len(cases)}", flush=True)
    if len(cases) == 1 or kind.parallel == 1:
        run = functools.partial(run_case, kind=kind)
    else:
        run = in_process
    failed = []

    def one(number, case):
        began = time.monotonic()
        why = run(case)
        report(number, case.__name__, why, time.monotonic() - began)
        if why:
            failed.append(case)
    # The labs' children die with the thread that made them, and signals are the main thread's: a single case stays on it.
    if run is not in_process:
        for number, case in enumerate(cases, 1):
            one(number, case)
    else:
        with concurrent.futures.ThreadPoolExecutor(kind.parallel) as pool:
            list(pool.map(one, range(1, len(cases) + 1), cases))
    return 1 if failed else 0
