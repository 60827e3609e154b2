"""Calls of test.Echo and the health service through the gateway. Arguments: the gateway's
address, the host, the call, optionally with the value of the metadata x-case as in `who:half`,
and optionally the file of the certificate authority. Prints what it got, one fact a line.
"""

import queue
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

LARGEST = 64 * 1024 * 1024
LIMIT = 30

address, host, call = sys.argv[1:4]
call, _, case = call.partition(":")
options = [
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.max_send_message_length", LARGEST),
    # What fails is shown as it is, not repeated by the client.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
]
if len(sys.argv) > 4:
    with open(sys.argv[4], "rb") as authority:
        credentials = grpc.ssl_channel_credentials(authority.read())
    options.append(("grpc.ssl_target_name_override", host))
    channel = grpc.secure_channel(address, credentials, options)
else:
    options.append(("grpc.default_authority", host))
    channel = grpc.insecure_channel(address, options)


def unary(name, message=b"", metadata=()):
    method = channel.unary_unary("/test.Echo/" + name)
    return method.with_call(message, timeout=LIMIT, metadata=(("x-case", case), *metadata))


def stream(name, limit=LIMIT):
    method = channel.unary_stream("/test.Echo/" + name)
    return method(b"", timeout=limit, metadata=(("x-case", case),))


def status(function):
    """Prints the status of a call that fails."""
    try:
        function()
        print("OK")
    except grpc.RpcError as error:
        print(error.code().name, error.details())
        return error


def say():
    own = [("x-own-text", "a b"), ("x-own-bytes-bin", bytes(range(256)))]
    message, outcome = unary("Say", b"\x00\xff", metadata=own)
    print(message)
    received = dict(outcome.initial_metadata())
    print(received["x-server"], received["x-own-text"], received["x-own-bytes-bin"] == own[1][1])
    received = dict(outcome.trailing_metadata())
    print(received["trailing-x-own-text"], received["trailing-x-own-bytes-bin"] == own[1][1])


def join():
    print(channel.stream_unary("/test.Echo/Join")(iter([b"a", b"", b"c"]), timeout=LIMIT))


def count():
    numbers = list(channel.unary_stream("/test.Echo/Count")(b"1000", timeout=LIMIT))
    print(len(numbers), numbers[0], numbers[-1])


def chat():
    """Each message is sent only after the response to the one before."""
    to_send = queue.Queue()
    received = channel.stream_stream("/test.Echo/Chat")(iter(to_send.get, None), timeout=LIMIT)
    for number in range(100):
        to_send.put(str(number).encode())
        assert next(received) == str(number).encode()
    to_send.put(None)
    print("100 in turn,", len(list(received)), "more")


def fail():
    for name in ["NOT_FOUND", "UNAUTHENTICATED", "INTERNAL", "RESOURCE_EXHAUSTED"]:
        error = status(lambda: unary("Fail", name.encode()))
        print(dict(error.trailing_metadata())["x-why"])


def large():
    message = bytes(range(256)) * (8 * 1024 * 1024 // 256)
    print(unary("Say", message)[0] == message)
    several = [message[: 3 * 1024 * 1024]] * 3
    received = channel.stream_stream("/test.Echo/Chat")(iter(several), timeout=LIMIT)
    print(list(received) == several)


def cancel():
    waiting = stream("Wait")
    print(next(waiting))
    waiting.cancel()
    print(unary("WasCancelled")[0])


def deadline():
    """The client's own time limit ends first."""
    try:
        list(stream("Wait", limit=1))
    except grpc.RpcError as error:
        print(error.code().name)
    print(unary("WasCancelled")[0])


def hang():
    """The time limit of the gateway ends a call without any response, and a stream with one."""
    status(lambda: unary("Hang"))
    print(unary("WasCancelled")[0])
    try:
        for message in stream("Wait"):
            print(message)
    except grpc.RpcError as error:
        print(error.code().name)
    print(unary("WasCancelled")[0])


def health():
    stub = health_pb2_grpc.HealthStub(channel)
    names = health_pb2.HealthCheckResponse.ServingStatus.Name
    for service in ["test.Echo", "test.Other", ""]:
        request = health_pb2.HealthCheckRequest(service=service)
        print(names(stub.Check(request, timeout=LIMIT).status))
    status(lambda: stub.Check(health_pb2.HealthCheckRequest(service="none"), timeout=LIMIT))
    watching = stub.Watch(health_pb2.HealthCheckRequest(service="test.Echo"), timeout=LIMIT)
    print(names(next(watching).status))


def flaky():
    for failures in [b"0", b"2", b"3"]:
        status(lambda: print(unary("Flaky", failures)[0]))


def who():
    """The servers of 100 calls, and the statuses."""
    found = {}
    for _ in range(100):
        try:
            name = dict(unary("Say")[1].initial_metadata())["x-server"]
        except grpc.RpcError as error:
            name = f"{error.code().name} {error.details()}"
        found[name] = found.get(name, 0) + 1
    for name in sorted(found):
        print(name, found[name])


def seen():
    print(unary("Seen")[0].decode())


def one():
    """The status of one call."""
    status(lambda: unary("Say"))


globals()[call]()
