"""Requests by the library of the first argument (requests, httpx or httpx2 for HTTP/2) to
the origin of the second, such as http://127.0.0.1:1234, for the host of the third, with
the application of asgi_server.py behind it. A fourth is the file of the certificate authority.
Prints what it got.
"""

import hashlib
import ssl
import sys

library, origin, host = sys.argv[1:4]
authority = sys.argv[4] if len(sys.argv) > 4 else None
headers = {"host": host}
parts = [bytes([number]) * 100_000 for number in range(30)]
digest = hashlib.sha256(b"".join(parts)).hexdigest()

if library == "requests":
    import requests

    client = requests.Session()
    client.trust_env = False

    def download(url):
        with client.post(url, data=iter(parts), headers=headers, stream=True, timeout=30) as answer:
            return b"".join(answer.iter_content(10_000))

    def send(method, path, data=None):
        answer = client.request(method, origin + path, data=data, headers=headers, timeout=30)
        return answer, f"HTTP/{answer.raw.version / 10}"
else:
    import httpx

    is_two = library == "httpx2"
    trusted = ssl.create_default_context(cafile=authority) if authority else True
    # Over plaintext, HTTP/2 is with prior knowledge.
    client = httpx.Client(
        http1=not is_two, http2=is_two, verify=trusted, timeout=30, headers=headers, trust_env=False
    )

    def download(url):
        with client.stream("POST", url, content=iter(parts)) as answer:
            return b"".join(answer.iter_bytes(10_000))

    def send(method, path, data=None):
        options = {"extensions": {"sni_hostname": host}} if authority else {}
        answer = client.request(method, origin + path, content=data, **options)
        return answer, answer.http_version


for _ in range(20):
    answer, version = send("GET", "/")
    assert answer.text == "hello from asgi", answer.text
print(version)
print(send("HEAD", "/")[0].status_code, send("GET", "/missing")[0].status_code)
for data in [b"".join(parts), iter(parts)]:
    answer, _ = send("POST", "/digest", data)
    print(answer.text == f"1.1 3000000 {digest}")
if not authority:
    print(hashlib.sha256(download(origin + "/echo")).hexdigest() == digest)
