"""What the API shows of a kind over time, by `kubectl get -w`, for tests to wait on and to look back at."""
import json
import subprocess
import threading
import time

from watch import Timeout


class Follow:
    """All versions of all objects of one kind, in the order in which the API showed them: (type, object), type being ADDED,
    MODIFIED or DELETED."""

    def __init__(self, site, resource):
        self.resource, self.versions = resource, []
        self._changed = threading.Condition()
        argv = site.lab.inside_argv(["kubectl", "--kubeconfig", f"{site.data}/kubeconfig", "get", resource, "-A", "-w",
                                     "--output-watch-events", "-o", "json"])
        self._kubectl = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._kubectl.stdout:
            event = json.loads(line)
            with self._changed:
                self.versions.append((event["type"], event["object"]))
                self._changed.notify_all()

    def close(self):
        self._kubectl.kill()
        self._kubectl.communicate()

    def __len__(self):
        return len(self.versions)

    def of(self, name, since=0, namespace="default"):
        """The versions of one object from number since on."""
        return [(kind, o) for kind, o in self.versions[since:]
                if o["metadata"]["name"] == name and o["metadata"]["namespace"] == namespace]

    def wait(self, match, deadline, what, since=0):
        """Number and object of the first version from number since on with match(type, object)."""
        end, at = time.monotonic() + deadline, since
        with self._changed:
            while True:
                for kind, o in self.versions[at:]:
                    if match(kind, o):
                        return at, o
                    at += 1
                if not self._changed.wait(max(0, end - time.monotonic())):
                    raise Timeout(f"{self.resource}: {what}: not within {deadline} s")

    def until(self, name, condition, deadline, what, since=0):
        """The same of one object with condition(object), but for the version that its deletion shows."""
        try:
            return self.wait(lambda kind, o: kind != "DELETED" and o["metadata"]["name"] == name and
                             o["metadata"]["namespace"] == "default" and condition(o), deadline, f"{name}: {what}", since)
        except Timeout as error:
            last = self.of(name)[-1:]
            raise Timeout(f"{error}; last seen: {json.dumps(last[0][1].get('status', {}) if last else None)[:700]}") from None
