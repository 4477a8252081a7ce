"""Waiting for a file to grow, by inotify: no polling, no sleeping."""
import ctypes
import os
import select
import time

_libc = ctypes.CDLL(None, use_errno=True)
_IN_MODIFY, _IN_CLOEXEC, _IN_NONBLOCK = 0x2, 0o2000000, 0o4000


class Timeout(Exception):
    """A deadline has passed."""


def until(path, look, deadline, what):
    """Calls look() now and at each change of the file until it returns something; raises Timeout
    after deadline seconds. what says in the message what was waited for."""
    end = time.monotonic() + deadline
    fd = _libc.inotify_init1(_IN_CLOEXEC | _IN_NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        if _libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)
        while True:
            found = look()
            if found is not None:
                return found
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Timeout(f"{what}: nothing within {deadline} s")
            os.read(fd, 65536)
    finally:
        os.close(fd)
