"""A server of one file on the loopback address, which breaks off, lies or forwards as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served(BaseHTTPRequestHandler):
    """Sends ``server.content``, of each connection at most ``server.most`` bytes."""

    def do_GET(self):
        server, content = self.server, self.server.content
        server.asked.append((self.path, self.headers.get("Range")))
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if server.resumes and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:start + server.most])
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def serving(content: bytes) -> Iterator[ThreadingHTTPServer]:
    """A running server; ``url(name)`` is its address, ``asked`` the path and range of each request."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    server.content, server.most, server.resumes, server.status, server.asked = content, len(content), True, 200, []
    server.url = lambda name: f"http://127.0.0.1:{server.server_port}/{name}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
