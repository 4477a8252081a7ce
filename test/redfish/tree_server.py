#!/usr/bin/env python3
"""Serves a recorded tree of a Redfish service (redfish/v1/PATH/index.json, or PATH.json, or one JSON file that maps paths to bodies) as
a BMC would: sessions, basic authentication, ETags, wrong letters and slashes forgiven, and faults on demand. What the recordings lack
(status codes, headers, actions) is invented here, by DSP0266.

usage: tree_server.py TREE [--port N] [--user NAME] [--password WORD] [--tls CERT KEY] [--fault PATH=STATUS]... [--ignore-expand]
Prints "port N" when it listens. Log lines to standard error: METHOD PATH STATUS.
"""
import argparse
import base64
import hashlib
import json
import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


def key_of(path):
    return unquote(path).rstrip("/").lower()


def load(where):
    """path in small letters, without a slash at its end: body"""
    if os.path.isfile(where):
        with open(where) as f:
            return {key_of(path): body for path, body in json.load(f).items()}
    tree = {}
    for directory, _, names in os.walk(where):
        for name in names:
            path = os.path.relpath(os.path.join(directory, name), where)
            if name == "index.json":
                path = os.path.dirname(path)
            elif name.endswith(".json"):
                path = path[:-5]
            else:
                continue
            try:
                with open(os.path.join(directory, name)) as f:
                    tree["/" + key_of(path)] = json.load(f)
            except ValueError:
                tree["/" + key_of(path)] = None
    return tree


class Tree:
    """One service; `asked` is what was asked for, in order."""

    def __init__(self, where, user="admin", password="secret", faults=None, expand=True, sessions=True):
        self.tree, self.user, self.password = load(where), user, password
        self.faults, self.expand, self.sessions = dict(faults or {}), expand, sessions
        self.tokens, self.asked, self.lock, self.made = {}, [], threading.Lock(), 0
        self.handlers = {}  # (method, path in small letters): function(body) -> (status, headers, body)

    def serve(self, port=0, tls=None):
        handler = type("Handler", (Handler,), {"service": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize, disable_nagle_algorithm = -1, True  # an answer is one packet, and no packet waits for another's receipt
    service = None

    def log_message(self, *args):
        pass

    def reply(self, status, body=None, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        with self.service.lock:
            self.service.asked.append(f"{self.command} {self.path} {status}")
        try:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("OData-Version", "4.0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def error(self, status, message):
        self.reply(status, {"error": {"code": "Base.1.8.GeneralError",
                                      "@Message.ExtendedInfo": [{"MessageId": "Base.1.8." + message}]}})

    def knows(self):
        s = self.service
        token = self.headers.get("X-Auth-Token")
        word = base64.b64encode(f"{s.user}:{s.password}".encode()).decode()
        return token in s.tokens.values() if token else self.headers.get("Authorization") == "Basic " + word

    def sessions(self, key, body):
        s = self.service
        if self.command == "DELETE":
            s.tokens.pop(key, None)
            return self.reply(204)
        if (body or {}).get("UserName") != s.user or (body or {}).get("Password") != s.password:
            return self.error(401, "InsufficientPrivilege")
        s.made += 1
        path, token = f"/redfish/v1/SessionService/Sessions/{s.made}", f"key{s.made}"
        s.tokens[path.lower()] = token
        return self.reply(201, {"@odata.id": path}, [("X-Auth-Token", token), ("Location", path)])

    def expanded(self, body):
        members = [self.service.tree.get(key_of(urlsplit(m.get("@odata.id", "")).path)) or m for m in body["Members"]]
        return {**body, "Members": members}

    def handle_one(self):
        s, parts = self.service, urlsplit(self.path)
        key = key_of(parts.path)
        length = int(self.headers.get("Content-Length") or 0)
        try:
            said = json.loads(self.rfile.read(length)) if length else None
        except ValueError:
            said = None
        if s.sessions and key.startswith("/redfish/v1/sessionservice/sessions") and self.command in ("POST", "DELETE"):
            return self.sessions(key, said)
        if key != "/redfish/v1" and not self.knows():
            return self.error(401, "NoValidSession")
        fault = s.faults.get(key) or (parts.query and s.faults.get(key + "?"))  # "PATH?": with any query
        if fault:
            return self.error(int(fault), "InternalError")
        if (self.command, key) in s.handlers:
            status, headers, body = s.handlers[self.command, key](said)
            return self.reply(status, body, headers)
        if key not in s.tree:
            return self.error(404, "ResourceMissingAtURI")
        if self.command != "GET":
            return self.error(405, "OperationNotAllowed")
        body = s.tree[key]
        if body is None:
            return self.error(500, "InternalError")
        if "$expand" in parts.query and s.expand and isinstance(body, dict) and isinstance(body.get("Members"), list):
            body = self.expanded(body)
        etag = 'W/"%s"' % hashlib.sha256(json.dumps(body).encode()).hexdigest()[:8]
        return self.reply(200, body, [("ETag", etag)])

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = lambda self: self.handle_one()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tree")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--user", default="admin")
    p.add_argument("--password", default="secret")
    p.add_argument("--tls", nargs=2)
    p.add_argument("--fault", action="append", default=[])
    p.add_argument("--ignore-expand", action="store_true")
    a = p.parse_args()
    faults = {key_of(f.rpartition("=")[0]): f.rpartition("=")[2] for f in a.fault}
    s = Tree(a.tree, a.user, a.password, faults, not a.ignore_expand).serve(a.port, a.tls)
    print("port", s.port, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\n".join(s.asked), file=sys.stderr)


if __name__ == "__main__":
    main()
