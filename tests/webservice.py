"""A small web service on this machine, for tests of what asks one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[Any], tuple[int, str]]  # what was asked -> status, text


class Service:
    """A server whose answers the test decides; it keeps what it was asked."""

    def __init__(self) -> None:
        self.reply: Reply = lambda asked: (
            200,
            json.dumps([float(len(t)) for t in asked["designs"]]),
        )
        self.asked: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.location = ""  # where a redirection leads
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(body)
                service.headers.append(dict(self.headers))
                status, text = service.reply(body)
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                if service.location:
                    self.send_header("Location", service.location)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                service.headers.append(dict(self.headers))
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/score"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
