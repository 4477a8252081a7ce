"""From the death of the instance that leads, in the middle of an image's write, to the first packets of the other: to a BMC, and to the
agent that writes. Two instances on two machines (test/lab/instances.py), native servers, a Lease of 6, 4 and 1 s as the manifests set it.
The write must come to its end as one.
"""
import os
import sys
import tempfile
import time

sys.path.insert(0, "test/lab")
from cases import Case, Native  # noqa: E402
from instances import InstancesSite  # noqa: E402
from rows import row  # noqa: E402

RUNS, MOST = 3, 10


def cut_off(instance):
    instance.cut()
    return time.monotonic()


def once(end):
    """Seconds to the BMC, seconds to the agent."""
    with tempfile.TemporaryDirectory(prefix="ingot-bench-") as directory, \
            InstancesSite(os.path.join(directory, "site"), Native.images) as site:
        site.kind = Native
        site.start()
        case = Case(site)
        case.hold_at(0.5)
        case.apply()
        case.until_held()
        since = end(site.instances[0])
        seconds = site.takes_over(since), site.calls_agent(since)
        case.release()
        case.provisioned()
        case.written_once()
        return seconds


def measure():
    Native.prepare()
    for what, end in (("kill -9", lambda instance: instance.kill()), ("all its cables cut", cut_off)):
        times = [once(end) for _ in range(RUNS)]
        note = "worst of " + ", ".join(f"{bmc:.1f}" for bmc, _ in times)
        row(f"failover: {what}, to the other's first packet to a BMC", max(bmc for bmc, _ in times), "s", most=MOST, note=note)
        note = "worst of " + ", ".join(f"{agent:.1f}" for _, agent in times) + "; one write in each"
        row(f"failover: {what}, to its call of the agent", max(agent for _, agent in times), "s", most=MOST, note=note)
