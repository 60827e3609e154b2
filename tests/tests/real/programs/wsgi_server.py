"""A WSGI application, served by wsgiref: one request for each connection, over HTTP/1.0."""

from wsgiref.simple_server import WSGIRequestHandler, make_server


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) or b"hello from wsgi"
    found = environ["PATH_INFO"] != "/missing"
    start_response("200 OK" if found else "404 Not Found", [("content-length", str(len(body)))])
    return [body]


server = make_server("127.0.0.1", 0, app, handler_class=Silent)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
