#!/usr/bin/python3
"""`make demo`: a virtual server goes from `kubectl apply` to an operating system that Ingot wrote on its disk.

demo.py [--firmware bios|uefi] [--memory MiB]. Prints each phase as it ends, and writes build/demo/report.json.
"""
import argparse
import datetime
import json
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Disk  # noqa: E402
from site_ingot import Site, Tenant  # noqa: E402

IMAGE = "os.qcow2"


def say(text):
    print(f"  {text}", flush=True)


class Phases:
    """Seconds that each state of the host lasted, by what `kubectl get -w` shows."""

    def __init__(self):
        self.list, self.state, self.since = [], None, 0.0

    def enter(self, state, now):
        if state == self.state:
            return
        if self.state:
            self.list.append({"name": self.state, "seconds": round(now - self.since, 1)})
            say(f"{now:6.1f} s  {self.state} took {now - self.since:.1f} s")
        self.state, self.since = state, now


def follow(changes, phases, until, deadline):
    """Till the host shows the state; raises with its error message if it shows one, or when time is up."""
    timer = threading.Timer(deadline, lambda: os.kill(os.getpid(), 15))
    timer.daemon = True
    timer.start()
    for now, host in changes:
        status = host.get("status", {})
        if status.get("errorMessage"):
            raise RuntimeError(f"{status.get('errorType')}: {status['errorMessage']}")
        state = status.get("provisioning", {}).get("state", "")
        if state:
            phases.enter(state, now)
        if state == until:
            timer.cancel()
            return now


def provision(site, server, tenant):
    """Applies the host, with its image, and follows it to its operating system's own report."""
    phases = Phases()
    changes = site.watch()
    site.apply(site.credentials(server), *tenant.objects(server.name),
               site.bare_metal_host(server, site.image(IMAGE), f"{server.name}-user-data",
                                    metaData={"name": f"{server.name}-meta-data"}))
    say("   0.0 s  kubectl apply: Secrets and BareMetalHost")
    now = follow(changes, phases, "provisioned", 600)
    mark = time.monotonic()
    line = server.wait_console(tenant.pattern(server.firmware), 240)
    phases.list.append({"name": "operating system", "seconds": round(time.monotonic() - mark, 1)})
    say(f"{now + time.monotonic() - mark:6.1f} s  the operating system reports: {line[0][:100]}...")
    return phases.list


def write_seconds(site):
    """How long the step was under way that writes the image, by Ingot's log: from its begin to that of the next one."""
    steps = re.findall(r'^(\S+)Z info +step .* operation=deploy step="?([^"\n]+)"?', site.log_text(), re.M)
    at = [name for _, name in steps].index("write image")
    began, ended = (datetime.datetime.fromisoformat(steps[i][0]) for i in (at, at + 1))
    return (ended - began).total_seconds()


def report(site, server, phases, idle, agent_ready):
    rss, anonymous = site.memory()
    size = os.path.getsize(os.path.join(site.images, IMAGE))
    written = server.written()
    return {"result": "provisioned", "host": server.name, "firmware": server.firmware, "phases": phases,
            "image_bytes": size, "disk_bytes_written": written, "write_bytes_per_second": int(written / write_seconds(site)),
            "agent_ready_seconds": agent_ready, "agent_peak_memory_bytes": agent_peak(server),
            "operator": {"idle_rss_bytes": idle[0], "idle_anonymous_bytes": idle[1], "end_rss_bytes": rss,
                         "end_anonymous_bytes": anonymous}}


def agent_ready(server):
    """From the start of the ramdisk's kernel until its agent runs, by its console; null when it does not say."""
    found = re.search(r"\[\s*([\d.]+)\] .*inventory|ingot-init: ([\d.]+) s: .*agent", server.console())
    return float(found[1] or found[2]) if found else None


def agent_peak(server):
    """The most memory that the agent held when the image was written, by its own line on the console."""
    found = re.search(r"image written.*peak_memory_bytes=\"?(\d+)", server.console())
    return int(found[1]) if found else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--firmware", choices=["bios", "uefi"], default="bios")
    parser.add_argument("--memory", type=int, default=1024)
    parser.add_argument("--dir", default="build/demo")
    o = parser.parse_args()
    with Site(os.path.join(o.dir, "site"), "build/lab") as site:
        server = site.lab.server("node-1", firmware=o.firmware, memory=o.memory,
                                 disks=[Disk("5G", bus="virtio", fill="16M")])
        site.start()
        idle = site.memory()
        say(f"Ingot runs: {idle[0] >> 20} MiB resident, {idle[1] >> 20} MiB of its own")
        tenant = Tenant("node-1")
        try:
            phases = provision(site, server, tenant)
        except Exception:
            print(f"--- end of Ingot's log\n{site.log_end()}\n--- end of the server's console\n{server.console()[-3000:]}")
            raise
        result = report(site, server, phases, idle, agent_ready(server))
    with open(os.path.join(o.dir, "report.json"), "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    say(f"report: {o.dir}/report.json")


main()
