#!/usr/bin/python3
"""A function as FaaS platforms run it: an image in, its classes out, by HTTP.

    MODEL=/model/model.h5 PORT=8080 server.py

It listens at once and prints «port» and which (PORT=0 is any free one). From
the process's start on, a thread imports numpy and h5py and loads the whole
model; a request waits for that. So a platform sees a ready function, and its
request arrives, as early as can be, and loading does not wait for a request.
It is the same whichever way the model came.

GET /healthz answers as soon as it listens. POST / takes an image, see
classifier.parse, and answers JSON:

    started            the process was made          (all in Unix seconds,
    imported           numpy and h5py were there      by the machine's clock)
    loaded             the model was in memory
    received           the request was here
    answered           the classes were known
    load_seconds       from imported to loaded
    execution_seconds  what the classifying took
    pid                of the process
    top                the five most likely classes and their probabilities
    digest             sha256 of all probabilities, to compare functions by

The process holds the whole model in memory of its own, as frameworks do: many
functions at once need the model's size each.
"""
import hashlib
import json
import os
import signal
import socketserver
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 64 << 20  # bytes of an image


def started():
    """When the kernel made this process (proc(5), the 22nd field of stat)."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as f:
        ticks = int(f.read().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


class Model:
    """The weights in memory, and when they came there."""

    def __init__(self, path):
        # Here and not above: they take a while to import from a cold disk.
        import classifier

        self.classifier = classifier
        self.imported = time.time()
        self.weights = classifier.load(path)
        self.loaded = time.time()

    def answer(self, data):
        """Classifies an image. Raises ValueError when data is none."""
        image = self.classifier.parse(data)
        begin = time.monotonic()
        scores = self.classifier.classify(self.weights, image)
        return {
            "execution_seconds": time.monotonic() - begin,
            "imported": self.imported,
            "loaded": self.loaded,
            "load_seconds": self.loaded - self.imported,
            "top": self.classifier.top(scores, 5),
            "digest": hashlib.sha256(scores.astype("<f4").tobytes()).hexdigest(),
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self.reply(200, "text/plain", b"ok\n")
        else:
            self.refuse(404, "there are GET /healthz and POST /")

    def do_POST(self):
        received = time.time()
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > LARGEST:
            return self.refuse(413, f"an image needs a Content-Length of at most {LARGEST}")
        data = self.rfile.read(int(size))
        try:
            model = self.server.model.result()
        except Exception as failure:  # whatever it was, the caller is told
            return self.refuse(500, f"load the model: {failure}")
        try:
            answer = model.answer(data)
        except ValueError as failure:
            return self.refuse(400, str(failure))
        times = {"started": self.server.started, "received": received, "answered": time.time()}
        self.reply(200, "application/json", json.dumps({"pid": os.getpid(), **times, **answer}).encode())

    def refuse(self, status, why):
        self.close_connection = True
        self.reply(status, "text/plain", why.encode() + b"\n")

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The answers say what there is to say."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address, model):
        self.started, self.model = started(), model
        super().__init__(address, Handler)

    def server_bind(self):
        """Binds without asking the DNS, where there may be none, for a name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def main():
    # The first process of a container gets no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    loader = ThreadPoolExecutor(max_workers=1)
    model = loader.submit(Model, os.environ.get("MODEL", "/model/model.h5"))
    server = Server(("", int(os.environ.get("PORT", "8080"))), model)
    print("port", server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
