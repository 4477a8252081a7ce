"""A reverse proxy before an API server, as sites have them: plain HTTP or TLS in front, a path prefix, and a hook that sees each request.

    with Front(kubeconfig) as front:      # of the server behind; its credentials are used
        front.kubeconfig                  # a kubeconfig of the front
        front.before = front.after = lambda method, path, headers: ...   # raising Refuse(status) answers instead

`after` is called when the server behind has answered and before its answer is passed on.
"""
import base64
import contextlib
import http.client
import http.server
import json
import os
import ssl
import tempfile
import threading
import urllib.parse


class Refuse(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


def upstream(kubeconfig):
    """(host, port, TLS context) of a kubeconfig with everything in it as data, in JSON or as kubectl prints it."""
    with open(kubeconfig, encoding="utf-8") as file:
        text = file.read()
    if not text.lstrip().startswith("{"):
        import subprocess
        text = subprocess.run(["kubectl", "--kubeconfig", kubeconfig, "config", "view", "--raw", "-o", "json"], check=True,
                              capture_output=True, text=True).stdout
    config = json.loads(text)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    url = urllib.parse.urlsplit(cluster["server"])
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
    return url.hostname, url.port, context


class Front:
    """`context`: TLS of the front; `inside`: makes sockets where they belong (Lab.inside)."""

    def __init__(self, kubeconfig, prefix="", context=None, inside=contextlib.nullcontext):
        self.host, self.port, self.tls = upstream(kubeconfig)
        self.prefix, self.inside = prefix, inside
        self.before = self.after = lambda method, path, headers: None
        self.requests = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _serve(self):
                front.serve(self)
            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        with inside():
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server.server_address[1]}{prefix}"
        self._files = tempfile.TemporaryDirectory(prefix="front-")
        self.kubeconfig = os.path.join(self._files.name, "kubeconfig")
        self.write(self.kubeconfig)

    def write(self, path, cluster=None, user=None):
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "front",
                  "clusters": [{"name": "front", "cluster": {"server": self.url, **(cluster or {})}}],
                  "users": [{"name": "front", "user": user or {}}],
                  "contexts": [{"name": "front", "context": {"cluster": "front", "user": "front"}}]}
        with open(path, "w", encoding="ascii") as file:
            json.dump(config, file)
        return path

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self._files.cleanup()

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = request.path
        self.requests.append((request.command, path, dict(request.headers)))
        try:
            if not path.startswith(self.prefix + "/"):
                raise Refuse(404)
            path = path.removeprefix(self.prefix)
            self.before(request.command, path, request.headers)
            self._pass(request, path, body)
        except Refuse as refuse:
            request.send_response(refuse.status)
            request.send_header("Content-Length", "0")
            request.end_headers()
        except (OSError, http.client.HTTPException):
            request.close_connection = True

    def _pass(self, request, path, body):
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "connection", "accept-encoding", "authorization")}
        with self.inside():
            behind = http.client.HTTPSConnection(self.host, self.port, context=self.tls)
            behind.connect()
        behind.request(request.command, path, body or None, headers)
        answer = behind.getresponse()
        self.after(request.command, path, request.headers)
        request.close_connection = True
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                request.send_header(name, value)
        request.send_header("Connection", "close")
        request.end_headers()
        while piece := answer.read1(65536):
            request.wfile.write(piece)
            request.wfile.flush()
        behind.close()
