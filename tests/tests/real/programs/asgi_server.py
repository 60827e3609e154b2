"""An ASGI application, served by uvicorn.

/echo     returns the body while it arrives
/digest   returns the version of HTTP, the number of bytes and their SHA-256
/events   sends an event, then another one once /release is requested
/headers  returns the names of the headers
"""

import asyncio
import hashlib
import socket

import uvicorn

released = asyncio.Event()


async def chunks(receive):
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def app(scope, receive, send):
    path = scope["path"]

    async def begin(kind, status=200):
        headers = [(b"content-type", kind), (b"x-upstream", b"asgi")]
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(content, more=False):
        await send({"type": "http.response.body", "body": content, "more_body": more})

    if path == "/echo":
        await begin(b"application/octet-stream")
        async for chunk in chunks(receive):
            await body(chunk, more=True)
        await body(b"")
    elif path == "/digest":
        digest, length = hashlib.sha256(), 0
        async for chunk in chunks(receive):
            digest.update(chunk)
            length += len(chunk)
        await begin(b"text/plain")
        await body(f"{scope['http_version']} {length} {digest.hexdigest()}".encode())
    elif path == "/events":
        released.clear()
        await begin(b"text/event-stream")
        await body(b"data: first\n\n", more=True)
        await released.wait()
        await body(b"data: second\n\n")
    elif path == "/release":
        released.set()
        await begin(b"text/plain")
        await body(b"released")
    elif path == "/headers":
        await begin(b"text/plain")
        await body(b"\n".join(sorted(name for name, _ in scope["headers"])))
    else:
        await begin(b"text/plain", 200 if path == "/" else 404)
        await body(b"hello from asgi")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
host, port = listener.getsockname()
print(f"listening on {host}:{port}", flush=True)
config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
uvicorn.Server(config).run([listener])
