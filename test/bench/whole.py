"""The whole job, by `make demo` on a guest with less memory than its image has bytes."""
import json
import subprocess

from rows import row

MEMORY = 512


def measure():
    subprocess.run(["python3", "test/lab/demo.py", "--memory", str(MEMORY)], check=True, stdout=subprocess.DEVNULL)
    with open("build/demo/report.json") as file:
        report = json.load(file)
    operator = report["operator"]
    total = sum(p["seconds"] for p in report["phases"])
    row(f"demo: kubectl apply to first line of the OS ({MEMORY} MB guest)", total, "s", most=157,
        note="a quarter of the 630 s that Ironic 29 with its agent took for the same image on such a machine")
    row("demo: kernel's start to agent", report["agent_ready_seconds"], "s")
    row("demo: bytes written to the disk", report["disk_bytes_written"] / 1e6, "MB")
    row(f"demo: agent's peak memory ({MEMORY} MB guest, 944 MB image)", (report["agent_peak_memory_bytes"] or 0) / 2**20 or None, "MiB",
        most=64)
    row("demo: operator at its start: RSS", operator["idle_rss_bytes"] / 1e6, "MB", most=24)
    row("demo: operator at its start: anonymous", operator["idle_anonymous_bytes"] / 1e6, "MB", most=8)
    row("demo: operator at its end: RSS", operator["end_rss_bytes"] / 1e6, "MB")
    row("demo: operator at its end: anonymous", operator["end_anonymous_bytes"] / 1e6, "MB")
