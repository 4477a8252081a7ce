"""A QMP connection to one QEMU process, with a record of its events.

QEMU gets one end of a socket pair (no paths, no wait for a socket to appear). A thread reads the
other end: answers go to the caller that waits for them, events to the handler and into the record.
"""
import json
import queue
import socket
import threading


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, on_event, on_close):
        self.socket, self._peer = socket.socketpair()
        self._on_event = on_event
        self._on_close = on_close
        self._answers = queue.Queue()
        self._lock = threading.Lock()
        self._number = 0

    def fd(self):
        """The descriptor that QEMU inherits; close_peer() once it runs."""
        return self._peer.fileno()

    def start(self):
        self._peer.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def command(self, name, deadline=5, **arguments):
        """Sends one command and returns what it returned."""
        with self._lock:
            self._number += 1
            number = self._number
            request = {"execute": name, "id": number}
            if arguments:
                request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
            try:
                self.socket.sendall(json.dumps(request).encode() + b"\n")
                while True:
                    answer = self._answers.get(timeout=deadline)
                    if answer is None or answer.get("id") == number:
                        break
            except (OSError, queue.Empty) as error:
                raise QmpError(f"{name}: {error or 'no answer'}") from error
        if answer is None:
            raise QmpError(f"{name}: QEMU has ended")
        if "error" in answer:
            raise QmpError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def _read(self):
        try:
            for line in self.socket.makefile("r"):
                message = json.loads(line)
                if "event" in message:
                    self._on_event(self, message)
                elif "QMP" not in message:
                    self._answers.put(message)
        except (OSError, ValueError):
            pass
        self._answers.put(None)
        self._on_close(self)
