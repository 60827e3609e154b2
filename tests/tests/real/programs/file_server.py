"""Python's http.server for the current folder, at the port of the first argument or any port."""

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Silent(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
server = ThreadingHTTPServer(("127.0.0.1", port), Silent)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
