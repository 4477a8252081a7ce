"""CPU and memory for polling BMCs, beside libfreeipmi's blocking calls against the same BMCs (test/bench/ipmi.c)."""
import json
import subprocess

from fleet import PROGRAM, bmcs
from rows import median, row

HOSTS, PEER_POLLS, RUNS = 10000, 1000, 3


def poll(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout)


def measure():
    with bmcs(HOSTS) as port:
        runs = [(poll("freeipmi", port, PEER_POLLS), poll("ingot", port, HOSTS, 0)) for _ in range(RUNS)]
        minute = poll("ingot", port, HOSTS, 60)
    peer, ours = zip(*runs)
    row("IPMI poll, libfreeipmi blocking: CPU", median([r["cpu_us"] for r in peer]), "us")
    row("IPMI poll, libfreeipmi blocking: memory per open BMC", peer[0]["bytes"], "B")
    row("IPMI poll, Ingot: CPU", median([r["cpu_us"] for r in ours]), "us", most=150,
        note=f"{HOSTS} BMCs as fast as they answer; a session for each poll, as for the peer; median of {RUNS} runs each")
    row("IPMI poll, Ingot: memory per idle BMC", median([r["bytes"] for r in ours]), "B", most=1024)
    row(f"IPMI polling, {HOSTS} BMCs spread over a minute: share of a core", minute["cpu_us"] * HOSTS / 60e6 * 100, "%",
        most=5)
