# SPDX-License-Identifier: Apache-2.0
"""A server of token keys, honest and otherwise, for tests/e2e: prints its port, then serves until it is killed.

    keys_server.py FOLDER [CERTIFICATE KEY]      HTTPS with these, else HTTP

GET /NAME answers the file NAME of the folder, as it is then. Beside that: /redirect leads to /keys.json,
/huge is too long without saying so, /long says that it is, /slow never ends, /broken breaks off, /none is 404.
Each request adds a line to FOLDER/requests.
"""

import http.server
import os
import ssl
import sys
import threading

FOLDER = sys.argv[1]
never = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with open(os.path.join(FOLDER, "requests"), "a") as file:
            file.write("%s %s\n" % (self.path, self.headers.get("Host")))
        name = self.path.split("?")[0].lstrip("/")
        if name == "redirect":
            self.answer(302, b"", Location="/keys.json", Content_Length="0")
        elif name == "huge":
            self.answer(200, b" " * 200_000)
        elif name == "long":
            self.answer(200, b"{}", Content_Length="99999999")
        elif name == "slow":
            self.answer(200, b"{", Content_Length="100")
            never.wait()
        elif name == "broken":
            self.answer(200, b'{"keys":', Content_Length="100")
        elif name and os.sep not in name and os.path.exists(os.path.join(FOLDER, name)):
            with open(os.path.join(FOLDER, name), "rb") as file:
                body = file.read()
            self.answer(200, body, Content_Length=str(len(body)))
        else:
            self.answer(404, b"", Content_Length="0")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
