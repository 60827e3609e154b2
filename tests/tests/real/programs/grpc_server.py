"""A gRPC server with the service test.Echo, whose messages are bytes, and the health
service. Prints its address. Its only argument is its name.
"""

import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

NAME = sys.argv[1]
LARGEST = 64 * 1024 * 1024

cancelled = threading.Semaphore(0)
tries = {}


def metadata(context):
    return dict(context.invocation_metadata())


def say(message, context):
    """Returns the message, and the client's x- metadata as initial and as trailing metadata."""
    own = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-own-")]
    context.send_initial_metadata([("x-server", NAME), *own])
    context.set_trailing_metadata([("trailing-" + key, value) for key, value in own])
    return message


def join(messages, context):
    """Returns all messages, joined."""
    return b",".join(messages)


def count(message, context):
    """Returns the numbers below the message."""
    for number in range(int(message)):
        yield str(number).encode()


def chat(messages, context):
    """Returns each message at once."""
    for message in messages:
        yield message


def fail(message, context):
    """Fails with the status whose name is the message."""
    context.set_trailing_metadata([("x-why", "asked")])
    context.abort(grpc.StatusCode[message.decode()], "caf\u00e9 100% closed")


def flaky(message, context):
    """Fails as often as the message says, once for each try of this request."""
    request = metadata(context)["x-request-id"]
    tries[request] = tries.get(request, 0) + 1
    if tries[request] <= int(message):
        context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
    return str(tries[request]).encode()


def wait(message, context):
    """Sends one message, then nothing until the call is cancelled."""
    context.add_callback(cancelled.release)
    yield b"waiting"
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(60)


def hang(message, context):
    """Sends nothing until the call is cancelled."""
    for _ in wait(message, context):
        pass
    return b""


def was_cancelled(message, context):
    """Waits until a call of wait is cancelled."""
    return b"yes" if cancelled.acquire(timeout=20) else b"no"


def seen(message, context):
    """Returns the time limit that the server sees, and the names of the metadata."""
    names = sorted(key for key, _ in context.invocation_metadata())
    limit = context.time_remaining()
    return f"{limit is not None and limit < 100} {','.join(names)}".encode()


unary, to_stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
handlers = {
    "Say": unary(say),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Count": to_stream(count),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": unary(fail),
    "Flaky": unary(flaky),
    "Wait": to_stream(wait),
    "Hang": unary(hang),
    "WasCancelled": unary(was_cancelled),
    "Seen": unary(seen),
}
server = grpc.server(
    futures.ThreadPoolExecutor(16),
    options=[("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)],
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
servicer = health.HealthServicer()
servicer.set("test.Echo", health_pb2.HealthCheckResponse.SERVING)
servicer.set("test.Other", health_pb2.HealthCheckResponse.NOT_SERVING)
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on 127.0.0.1:{port}", flush=True)
server.wait_for_termination()
