"""The mock as a client test has it: `tidemark serve` on a free port, killed and started again on the
same org; and a proxy that leads https://*.salesforce.com to it, for clients that know no other host."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.request

TIDEMARK = os.environ["TIDEMARK_BIN"]
USERNAME = "integration@tidemark.example"
PASSWORD = "tidemark"
TOKEN = "TOKEN"
KEY = "tidemark-consumer-key"
SECRET = "tidemark-consumer-secret"
NAMES = "login.salesforce.com,test.salesforce.com,tide.my.salesforce.com"
REFRESH = "tidemark-refresh-token"


class Mock:
    def __init__(self, *flags, tls=False):
        self.folder = tempfile.mkdtemp(prefix="tidemark-client-")
        self.flags = list(flags) + (["--tls", "--tls-names", NAMES] if tls else [])
        self.port = "0"
        self.ca = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder)

    def start(self):
        command = [TIDEMARK, "serve", "--quiet", "--port", self.port, "--org", self.folder + "/org.db", *self.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.base = self.process.stdout.readline().strip()
        assert self.base.startswith("http"), "tidemark serve did not start"
        self.port = self.base.rsplit(":", 1)[1]
        if self.base.startswith("https"):
            self.ca = self.folder + "/org.db.ca.pem"

    def kill(self):
        """As kill -9 does it: nothing is flushed, nobody is told."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def control(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + "/tidemark/v1/" + path, data, method=method)
        context = ssl.create_default_context(cafile=self.ca) if self.ca else None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *(
            [urllib.request.HTTPSHandler(context=context)] if context else []))
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)

    def commit(self, *changes, **more):
        return self.control("POST", "commit", {"changes": list(changes), **more})


def create(name):
    return {"change": "create", "object": "Account", "fields": {"Name": name}}


class Proxy:
    """Answers CONNECT whatever:443 with a tunnel to the mock. Clients use it by HTTPS_PROXY; what goes
    through is their own TLS."""

    def __init__(self, mock):
        self.mock = mock
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def environment(self):
        return {"HTTPS_PROXY": self.url, "https_proxy": self.url, "NO_PROXY": "", "no_proxy": "",
                "REQUESTS_CA_BUNDLE": self.mock.ca, "SSL_CERT_FILE": self.mock.ca}

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return client.close()
            head += more
        server = socket.create_connection(("127.0.0.1", int(self.mock.port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def run(*tests):
    """Each test is a function whose name says what it shows."""
    failed = 0
    for test in tests:
        try:
            test()
            print("ok   ", test.__name__.replace("_", " "), flush=True)
        except Exception:
            import traceback
            failed += 1
            print("FAIL ", test.__name__.replace("_", " "), flush=True)
            traceback.print_exc()
    raise SystemExit(1 if failed else 0)
