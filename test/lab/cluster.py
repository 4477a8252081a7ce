"""A real Kubernetes control plane in the lab's namespace, on its loopback or another address of it: etcd, kube-apiserver and
kube-controller-manager as `make kubernetes` built them, with TLS, RBAC and service accounts. It builds two releases: the newer
one (hack/kube-modules) is the judge of ours and is taken where it is there, else the elder one (hack/kube-apiserver).

    with Lab(directory) as lab:
        cluster = Cluster(lab, directory)
        cluster.start()
        cluster.install()          # CRDs and manifests of this tree
        cluster.admin              # kubeconfig of an admin
        cluster.ingot              # kubeconfig of the service account that the manifests make

The processes die with the lab. kubectl is the machine's own when it has one.
"""
import base64
import functools
import json
import os
import re
import shutil
import subprocess
import time

import watch

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
# As hack/kube-modules and hack/kube-apiserver; KUBEBUILDER_ASSETS is what others who test against a real API server set.
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ingot")
JUDGE, ELDER = (os.path.join(CACHE, name) for name in ("kubernetes-1.36", "kubernetes-1.20"))
GIVEN = os.environ.get("KUBEBUILDER_ASSETS") or os.environ.get("INGOT_KUBERNETES")
BUILT = "" if "KUBEBUILDER_ASSETS" in os.environ else ": `make kubernetes` builds it, `make test-full` does so by itself"
PORTS = (6443, 2379, 2380, 10257)  # API server, etcd for its clients, etcd for its peers, controllers


def has(directory, *programs):
    return all(os.access(os.path.join(directory, program), os.X_OK) for program in programs)


# A build that has not ended has no recipe.
PROGRAMS = GIVEN or next((d for d in (JUDGE, ELDER) if os.path.exists(os.path.join(d, "recipe"))), JUDGE)


def missing(*programs):
    """Why there can be no cluster (with these programs besides), or None."""
    for program in ("kube-apiserver", "etcd", *programs):
        if not has(PROGRAMS, program):
            return f"{PROGRAMS} has no {program}{BUILT}"
    return None


@functools.cache
def minor():
    """36 of Kubernetes 1.36."""
    program = os.path.join(PROGRAMS, "kube-apiserver")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.match(r"Kubernetes v1\.(\d+)\.", said)[1])


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def endpoints(service, namespace, addresses, port):
    """Where a Service's pods are, as a cluster's controllers would write it. The elder API server reads the older kind."""
    if minor() < 21:
        return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": service, "namespace": namespace},
                "subsets": [{"addresses": [{"ip": a} for a in addresses], "ports": [{"name": "https", "port": port}]}]}
    labels = {"kubernetes.io/service-name": service}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": service, "namespace": namespace, "labels": labels},
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}


class Pki:
    """A CA and what it signs, all below one directory."""

    def __init__(self, directory, address):
        self.dir, self.address = directory, address
        os.makedirs(directory, mode=0o700)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=lab CA", "-keyout", self.path("ca.key"), "-out", self.path("ca.crt"))
        openssl("genrsa", "-out", self.path("accounts.key"), "2048")
        openssl("rsa", "-in", self.path("accounts.key"), "-pubout", "-out", self.path("accounts.pub"))

    def path(self, name):
        return os.path.join(self.dir, name)

    def data(self, name):
        with open(self.path(name), "rb") as file:
            return base64.b64encode(file.read()).decode()

    def sign(self, name, subject, extensions):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write(extensions)
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path("ca.crt"),
                "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "2",
                "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".crt"))

    def kubeconfig(self, name, user):
        path = self.path(name + ".kubeconfig")
        cluster = {"server": f"https://{self.address}", "certificate-authority-data": self.data("ca.crt")}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "lab",
                  "clusters": [{"name": "lab", "cluster": cluster}], "users": [{"name": name, "user": user}],
                  "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}]}
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            json.dump(config, file)
        return path

    def client(self, name, subject):
        self.sign(name, subject, "extendedKeyUsage=clientAuth")
        return self.kubeconfig(name, {"client-certificate-data": self.data(name + ".crt"),
                                      "client-key-data": self.data(name + ".key")})


# Who asks for what, of the service accounts of Ingot's namespace: to hold their rights against.
AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
         "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:ingot-system"]}, {"level": "None"}]}


class Cluster:
    def __init__(self, lab, directory, ports=PORTS, address="127.0.0.1"):
        """address: where the API server listens."""
        self.lab, self.dir, self.address = lab, os.path.abspath(directory), address
        self.port, self.etcd_port, self.peer_port, self.controllers_port = ports
        self.etcd = f"http://127.0.0.1:{self.etcd_port}"
        self.ingot = self._api = None
        self.has_controllers = not missing("kube-controller-manager")
        os.makedirs(self.dir, exist_ok=True)
        self.pki = Pki(os.path.join(self.dir, "pki"), f"{address}:{self.port}")
        self.pki.sign("server", "/CN=kube-apiserver", "extendedKeyUsage=serverAuth\n"
                      f"subjectAltName=IP:127.0.0.1,IP:{address},IP:10.96.0.1,DNS:kubernetes.default.svc")
        self.admin = self.pki.client("admin", "/O=system:masters/CN=admin")
        self.audit = os.path.join(self.dir, "audit.log")
        with open(os.path.join(self.dir, "audit.json"), "w", encoding="ascii") as file:
            json.dump(AUDIT, file)
        self._manager = self.pki.client("manager", "/CN=system:kube-controller-manager")

    def start(self):
        self.start_etcd()
        self.start_api()
        # What keeps nodes and workloads going is left out; this is what ends deletions.
        self.start_controllers("garbagecollector,namespace,serviceaccount,serviceaccount-token")

    def start_etcd(self, fsync=False):
        peer = f"http://127.0.0.1:{self.peer_port}"
        return self._run("etcd", "--data-dir", os.path.join(self.dir, "etcd-data"),
                         *([] if fsync else ["--unsafe-no-fsync"]),
                         "--listen-client-urls", self.etcd, "--advertise-client-urls", self.etcd,
                         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                         "--initial-cluster", f"default={peer}")

    def start_controllers(self, controllers):
        # The elder one has an open port besides.
        self._run("kube-controller-manager", "--kubeconfig", self._manager, "--leader-elect=false",
                  "--bind-address", "127.0.0.1", "--secure-port", str(self.controllers_port),
                  *(["--port=0"] if minor() < 24 else []), "--root-ca-file", self.pki.path("ca.crt"),
                  "--service-account-private-key-file", self.pki.path("accounts.key"),
                  "--use-service-account-credentials=true", f"--controllers={controllers}")

    def _run(self, program, *arguments):
        return self.lab.popen([os.path.join(PROGRAMS, program), *arguments],
                              log=os.path.join(self.dir, program + ".log"))

    # --- the API server ---

    def start_api(self):
        pki = self.pki.path
        self._api = self._run(
            "kube-apiserver", "--etcd-servers", self.etcd, "--bind-address", self.address,
            "--secure-port", str(self.port), "--advertise-address", "10.77.0.1",
            # Without kube-proxy: webhooks are reached at the endpoints of their Service.
            "--enable-aggregator-routing=true", "--service-cluster-ip-range", "10.96.0.0/16",
            "--tls-cert-file", pki("server.crt"), "--tls-private-key-file", pki("server.key"),
            "--client-ca-file", pki("ca.crt"), "--authorization-mode", "RBAC", "--anonymous-auth=false",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", pki("accounts.pub"),
            "--service-account-signing-key-file", pki("accounts.key"),
            "--audit-policy-file", os.path.join(self.dir, "audit.json"), "--audit-log-path", self.audit)
        watch.until(os.path.join(self.dir, "kube-apiserver.log"), self._ready, 120, "kube-apiserver is not ready")
        return self._api

    def _ready(self):
        if self._api.poll() is not None:
            with open(os.path.join(self.dir, "kube-apiserver.log"), encoding="utf-8") as log:
                raise RuntimeError(f"kube-apiserver ended with {self._api.returncode}: {log.read()[-2000:]}")
        return self._try("get", "--raw", "/readyz").returncode == 0 or None

    def until_routed(self, *kinds):
        """The server answers for these custom kinds. It tells nobody when: each look asks anew."""
        for kind in kinds:
            end = time.monotonic() + 120
            while (done := self._try("get", kind, "-A")).returncode != 0:
                if time.monotonic() > end:
                    raise RuntimeError(f"the API server has no {kind}: {done.stderr}")

    def kill_api(self):
        """etcd keeps what was acknowledged."""
        self._api.kill()
        self._api.wait()

    def compact(self):
        """etcd forgets all revisions but the present one, and the API server's own memory of them is
        to be gone as well (kill_api)."""
        status = self._etcd("maintenance/status", {})
        self._etcd("kv/compaction", {"revision": status["header"]["revision"], "physical": True})

    def etcd_put(self, key, value):
        """A write past the API server: a revision that nobody watches."""
        text = [base64.b64encode(part.encode()).decode() for part in (key, value)]
        self._etcd("kv/put", {"key": text[0], "value": text[1]})

    def _etcd(self, what, body):
        out = self.lab.exec(["curl", "-sS", "--fail", "-d", json.dumps(body), f"{self.etcd}/v3/{what}"])
        return json.loads(out)

    # --- its users ---

    def _try(self, *arguments, config=None, stdin=None):
        kubectl = shutil.which("kubectl") or os.path.join(PROGRAMS, "kubectl")
        argv = self.lab.inside_argv([kubectl, "--kubeconfig", config or self.admin, "--request-timeout", "30s",
                                     "--cache-dir", os.path.join(self.dir, "cache"), *arguments])
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)

    def requests(self):
        """What Ingot asked for so far, as the API server's audit log has it."""
        with open(self.audit, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def kubectl(self, *arguments, **options):
        done = self._try(*arguments, **options)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def install(self):
        """What a person would: the CRDs, then the manifests. Gives self.ingot."""
        self.install_crds()
        for name in ("base/namespace.yaml", "base/rbac.yaml", "components/webhook/rbac.yaml", "overlays/cluster-wide/binding.yaml"):
            self.kubectl("apply", "-f", os.path.join(TOP, "manifests", name))
        self.use_account()

    def install_crds(self):
        self.kubectl("apply", "-f", os.path.join(TOP, "crds"))
        self.wait_established()

    def wait_established(self):
        """kubectl gives up on a CRD that is too new to have any condition."""
        for _ in range(20):
            done = self._try("wait", "--for", "condition=Established", "--timeout=30s", "crd", "--all")
            if done.returncode == 0:
                return
        raise RuntimeError(f"kubectl wait crd: {done.stderr}")

    def use_account(self):
        self.ingot = self.pki.kubeconfig("ingot", {"token": self.token("ingot-system", "ingot")})

    def token(self, namespace, account):
        request = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                              "spec": {"expirationSeconds": 7200}})
        answer = self.kubectl("create", "--raw", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                              "-f", "-", stdin=request)
        return json.loads(answer)["status"]["token"]
