"""BMCs for thousands of hosts: one process that answers for 127.1.0.1 and those that follow."""
import contextlib
import ipaddress
import subprocess

PROGRAM = "build/release/bench_ipmi"
FIRST = ipaddress.IPv4Address("127.1.0.1")
USER, PASSWORD = "admin", "secret"


def address(index):
    return str(FIRST + index)


@contextlib.contextmanager
def bmcs(count):
    """Yields their UDP port."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", PROGRAM, "respond", str(count)], stdout=subprocess.PIPE,
                               text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
