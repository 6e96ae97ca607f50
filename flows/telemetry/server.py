"""One port for probes and Prometheus: /livez, /readyz, /metrics."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flows.telemetry.exposition import CONTENT_TYPE

Metrics = Callable[[], bytes]
WhyNot = Callable[[], list[str]]
TIMEOUT = 5.0  # seconds that a member may take to answer its supervisor


class Server:
    """Serves from threads of its own. A process that does not answer /livez is not alive. `port` 0: any
    free one. Raises OSError when the port is taken."""

    def __init__(self, host: str, port: int, why_not: WhyNot, metrics: Metrics) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                try:
                    if path == "/livez":
                        self._answer(200, b"alive\n", "text/plain")
                    elif path == "/readyz":
                        why = why_not()
                        body = json.dumps({"ready": not why, "why_not": why}).encode() + b"\n"
                        self._answer(503 if why else 200, body, "application/json")
                    elif path == "/metrics":
                        self._answer(200, metrics(), CONTENT_TYPE)
                    else:
                        self._answer(404, b"there are /livez, /readyz and /metrics\n", "text/plain")
                except ConnectionError:
                    pass  # who asked went away

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass  # probes come every few seconds

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body of a member on this machine; status 0 and why in words when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        starting = isinstance(reason, ConnectionRefusedError)
        return 0, "does not serve: it starts, or has just ended" if starting else f"does not answer: {reason}"
