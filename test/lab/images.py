#!/usr/bin/python3
"""A small HTTP server for images, with byte ranges: images.py ADDRESS PORT DIR FAULTS.

Logs a JSON object per request to stdout: path, range, status and bytes sent. The file FAULTS, read at each request, breaks
things: {"cut_at": N} ends the connection after N bytes of a body, {"status": 404} answers with it, {"no_ranges": true},
{"hold_at": N} sends no byte from N on as long as that stands there, and logs once that it holds.
"""
import http.server
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import watch  # noqa: E402

HOLD_SECONDS = 1800


def log(**entry):
    """One write, because threads share the descriptor."""
    os.write(1, json.dumps(entry).encode() + b"\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def fault(self):
        with open(self.server.faults, encoding="ascii") as file:
            return json.load(file)

    def do_HEAD(self):
        self.serve(body=False)

    def do_GET(self):
        self.serve(body=True)

    def serve(self, body):
        fault, sent = self.fault(), 0
        status = fault.get("status", 200)
        path = os.path.join(self.server.root, os.path.basename(self.path.split("?")[0]))
        if status == 200 and not os.path.isfile(path):
            status = 404
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            status, sent = self.send_file(path, fault, body)
        log(path=self.path, range=self.headers.get("Range"), status=status, sent=sent)

    def send_file(self, path, fault, body):
        info = os.stat(path)
        etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}"'
        first, last, status = 0, info.st_size - 1, 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted and not fault.get("no_ranges") and self.headers.get("If-Range", etag) == etag:
            first, last, status = int(wanted[1]), min(int(wanted[2] or last), last), 206
        self.send_response(status)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", etag)
        if not fault.get("no_ranges"):
            self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{info.st_size}")
        self.end_headers()
        return status, self.send_bytes(path, first, last, fault) if body else 0

    def pass_hold(self, at):
        """Waits while the fault forbids the byte at this offset; returns how many may be sent from there."""
        def look():
            hold = self.fault().get("hold_at")
            return 1 << 18 if hold is None else min(hold - at, 1 << 18) if hold > at else None
        room = look()
        if room is None:
            log(path=self.path, held=at)
            room = watch.until(self.server.faults, look, HOLD_SECONDS, "the hold was not lifted")
        return room

    def send_bytes(self, path, first, last, fault):
        sent, cut = 0, fault.get("cut_at")
        with open(path, "rb") as file:
            file.seek(first)
            while first + sent <= last:
                piece = file.read(min(self.pass_hold(first + sent), last - first - sent + 1))
                if cut is not None and first + sent + len(piece) > cut:
                    self.close_connection = True
                    self.connection.close()
                    break
                try:
                    self.wfile.write(piece)
                except OSError:
                    break
                sent += len(piece)
        return sent

    def log_message(self, *_):
        pass


def main(address, port, root, faults):
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, int(port)), Handler)
    server.root, server.faults = root, faults
    print("ready", file=sys.stderr, flush=True)  # connections are accepted from here on
    server.serve_forever()


main(*sys.argv[1:])
