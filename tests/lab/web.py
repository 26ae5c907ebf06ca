"""What the lab's guests fetch from the host."""

import contextlib
import http.server
import threading


@contextlib.contextmanager
def web_server(**more: bytes):
    """Serves "greeting" and pages of the given names on a port of 127.0.0.1, which is yielded."""
    pages = {f"/{name}": page for name, page in {"greeting": b"hello from the host\n", **more}.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
