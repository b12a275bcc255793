# -*- test-case-name: tests.e2e.test_inspector -*-
"""The inspector of a real client: requests as real programs make them."""

import hashlib
import http.client
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import websocket
from jsonschema import Draft202012Validator

from tests.client.inspection.har12 import ARCHIVE
from tests.e2e.inspected import HOST, InspectCase
from tests.e2e.jupyter import JupyterUser, run_cell, start_jupyter
from tests.e2e.services import connected, pattern
from tests.e2e.tunnel import http_proxy
from tests.programs import PATIENCE, eventually, require_program
from tunnelsvc.client.inspection.facts import MASK
from tunnelsvc.wire.httpexchange import KEPT_BYTES

LARGE = 3 * KEPT_BYTES
BINARY = bytes(range(256))


class RecordTests(InspectCase):
    """What is seen."""

    def test_a_request(self) -> None:
        self.begin()
        answer = self.use("/page?q=x", Accept_Encoding="gzip", Cookie="session=s3cret")
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        row = self.done()
        self.assertEqual((row["method"], row["path"], row["status"]), ("GET", "/page?q=x", 200))
        self.assertEqual(row["url"], f"http://{HOST}:{self.vhost_port}/page?q=x")
        self.assertEqual((row["proxy"], row["user"], row["error"]), ("app", "127.0.0.1", ""))
        whole = self.get(f"requests/{row['id']}")
        self.assertIn(["Cookie", MASK], whole["request"]["headers"])
        body = whole["response"]["body"]
        self.assertEqual((body["encoding"], body["size"]), ("gzip", len(answer.body)))
        self.assertEqual(json.loads(body["text"])["query"], "x")
        self.assertIn('\n  "query": "x"', body["pretty"])
        self.assertEqual(self.rows(text="tunnel")[0]["id"], row["id"])
        self.assertEqual(self.rows(text="s3cret"), [])

    def test_uploads(self) -> None:
        """Large ones, in one piece and in chunks, pass as they are and are kept in part."""
        self.begin()
        data = b"".join(pattern(LARGE))
        expected = {"length": LARGE, "digest": hashlib.sha256(data).hexdigest()}

        def chunks() -> Iterator[bytes]:
            for begin in range(0, LARGE, 10_000):
                yield data[begin : begin + 10_000]

        for body, chunked in ((data, False), (chunks(), True)):
            connection = http.client.HTTPConnection("127.0.0.1", self.vhost_port, timeout=PATIENCE)
            connection.request("POST", "/upload", body, {"Host": HOST}, encode_chunked=chunked)
            answer = json.loads(connection.getresponse().read())
            connection.close()
            self.assertEqual({name: answer[name] for name in expected}, expected)
            row = self.done()
            kept = self.get(f"requests/{row['id']}")["request"]["body"]
            self.assertEqual((kept["size"], kept["kept"]), (LARGE, KEPT_BYTES))
            self.assertTrue(kept["truncated"])
            raw = self.admin(f"requests/{row['id']}/body/request").body
            self.assertEqual(raw, data[:KEPT_BYTES])

    def test_bit_by_bit(self) -> None:
        """A response that takes its time is there before it is complete."""
        self.begin()
        answer: list[bytes] = []
        user = threading.Thread(target=lambda: answer.append(self.use("/ticks").body))
        user.start()
        begun = eventually(self.rows, "the request has begun")[0]
        user.join(PATIENCE)
        row = self.done()
        self.assertEqual((row["id"], begun["path"]), (begun["id"], "/ticks"))
        self.assertEqual(answer[0], b"".join(b"tick %d\n" % number for number in range(5)))
        body = self.get(f"requests/{row['id']}")["response"]["body"]
        self.assertEqual(body["text"].encode(), answer[0])

    def test_websocket(self) -> None:
        """Messages are counted while it is open."""
        self.begin()
        user = websocket.create_connection(
            f"ws://127.0.0.1:{self.vhost_port}/chat", host=HOST, timeout=PATIENCE,
            suppress_origin=True,
        )  # fmt: skip
        for message in ("a", "b" * 70_000, "c" * 300):
            user.send(message)
            self.assertEqual([user.recv(), user.recv()], [message, message])
        row = self.rows()[0]
        self.assertEqual((row["kind"], row["status"], row["ms"]), ("websocket", 101, None))
        counted = self.get(f"requests/{row['id']}")["websocket"]
        self.assertEqual(counted, {"sent": 3, "received": 6})
        user.close()
        self.assertEqual(self.done()["error"], "")
        refused = self.admin(f"requests/{row['id']}/replay", "POST", b"{}")
        self.assertEqual(refused.status, 409)

    def test_images(self) -> None:
        (self.files / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + BINARY)
        self.begin()
        self.use("/files/dot.png")
        row = self.done()
        body = self.get(f"requests/{row['id']}")["response"]["body"]
        self.assertEqual((body["kind"], body["type"]), ("image", "image/png"))
        answer = self.admin(f"requests/{row['id']}/body/response")
        self.assertEqual(answer.headers["Content-Type"], "image/png")

    def test_a_service_that_is_down(self) -> None:
        """It is seen what was asked for in vain, and what to do."""
        self.begin()
        with self.app_stopped():
            self.assertEqual(self.use("/lost").status, 502)
            row = self.done()
            self.assertEqual((row["path"], row["status"]), ("/lost", 0))
            self.assertIn("connect to local service", row["error"])
            (proxy,) = self.get("status")["proxies"]
            self.assertEqual(proxy["hint_key"], "local_down")
        self.assertEqual(self.use("/page").status, 200)
        (proxy,) = self.get("status")["proxies"]
        self.assertEqual((proxy["error"], proxy["phase"]), ("", "running"))
        self.assertEqual(proxy["public"], f"http://{HOST}:{self.vhost_port}/")

    def test_under_cipher_and_compression(self) -> None:
        self.begin({"use_encryption": True, "use_compression": True})
        self.use("/page?q=y")
        self.assertEqual(self.done()["path"], "/page?q=y")

    def test_what_is_no_http(self) -> None:
        """It passes, as far as the server lets it, and the client goes on."""
        self.begin()
        with connected(self.vhost_port) as user:
            user.sendall(f"GET /page HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 2)
            user.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: user.recv(65536), b""))
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 2)
        eventually(lambda: len(self.rows()) == 2, "both requests of a connection are seen")

    def test_switched_on_while_it_runs(self) -> None:
        """By the page's editor; the user who is here stays."""
        self.begin({"inspect": False})
        user = websocket.create_connection(
            f"ws://127.0.0.1:{self.vhost_port}/chat", host=HOST, timeout=PATIENCE,
            suppress_origin=True,
        )  # fmt: skip
        self.use("/page?q=before")
        self.assertEqual(self.rows(), [])
        shown = self.get("config")
        text = shown["text"].replace("inspect = false", "inspect = true")
        body = json.dumps({"text": text, "etag": shown["etag"]}).encode()
        checked = self.admin("config/check", "POST", body).json()
        self.assertIn("+inspect = true", str(checked["diff"]))
        written: Any = self.admin("config", "PUT", body).json()
        self.assertEqual((written["problems"], written["changes"]["changed"]), ([], ["app"]))
        eventually(lambda: self.use("/page?q=after").status == 200, "the proxy is back")
        self.assertEqual(self.done(status="200")["path"], "/page?q=after")
        user.send("still here?")
        self.assertEqual(user.recv(), "still here?")
        user.close()


class AgainTests(InspectCase):
    """What can be done with it."""

    def again(self, id_: int, edits: dict[str, Any] | None = None) -> dict[str, Any]:
        """Replay a request; return what came of it."""
        answer = self.admin(f"requests/{id_}/replay", "POST", json.dumps(edits or {}).encode())
        self.assertEqual(answer.status, 200, answer.body)
        new = answer.json()["id"]

        def look() -> Any:
            whole = self.get(f"requests/{new}?reveal=1")
            return whole if whole["done"] else None

        found: dict[str, Any] = eventually(look, "the replay is done")
        self.assertEqual(found["replay_of"], id_)
        return found

    def test_replay(self) -> None:
        self.begin()
        self.use("/upload", "POST", BINARY, X_Mine="yes", Authorization="Bearer s3cret")
        first = self.done()
        whole = self.again(first["id"])
        self.assertEqual((whole["status"], whole["error"]), (200, ""))
        said = json.loads(whole["response"]["body"]["text"])
        self.assertEqual(said["digest"], hashlib.sha256(BINARY).hexdigest())
        self.assertEqual(said["headers"]["Authorization"], "Bearer s3cret")
        self.assertEqual(said["headers"]["X-Mine"], "yes")

    def test_edited(self) -> None:
        """With masked secrets, as the page has them."""
        self.begin()
        self.use("/page", Authorization="Bearer s3cret")
        first = self.done()
        headers = self.get(f"requests/{first['id']}")["request"]["headers"]
        edits = {
            "method": "PUT",
            "path": "/upload",
            "headers": [*headers, ["X-New", "1"]],
            "body": "edited",
        }
        whole = self.again(first["id"], edits)
        self.assertEqual((whole["method"], whole["path"]), ("PUT", "/upload"))
        said = json.loads(whole["response"]["body"]["text"])
        self.assertEqual((said["length"], said["headers"]["X-New"]), (6, "1"))
        self.assertEqual(said["headers"]["Authorization"], "Bearer s3cret")

    def test_replay_to_a_dead_service(self) -> None:
        self.begin()
        self.use("/page")
        first = self.done()
        with self.app_stopped():
            whole = self.again(first["id"])
            self.assertIn("connect to local service", whole["error"])
            self.assertEqual(whole["status"], 0)

    def test_curl(self) -> None:
        """The line does what the user did."""
        require_program("curl")
        self.begin()
        for body, value in ((b'it\'s $HOME `x` "y" \\ \n!', "a'b\"c"), (BINARY, "x"), (b"@x", "")):
            self.use("/upload", "POST", body, X_Odd=value, Content_Type="text/x", Cookie="a=b")
            first = self.done()
            line = self.admin(f"requests/{first['id']}/curl?reveal=1").body.decode()
            # The name isn't anybody's.
            line = line.replace("curl ", f"curl -sS --resolve {HOST}:{self.vhost_port}:127.0.0.1 ")
            ran = subprocess.run(
                ["sh", "-c", line], capture_output=True, timeout=PATIENCE, check=False
            )
            self.assertEqual(ran.returncode, 0, ran.stderr)
            said = json.loads(ran.stdout)
            self.assertEqual(said["digest"], hashlib.sha256(body).hexdigest(), line)
            self.assertEqual(said["headers"]["X-Odd"], value)
            self.assertEqual(said["headers"]["Cookie"], "a=b")
            second = self.done()
            self.assertNotEqual(first["id"], second["id"])
            same = [
                self.get(f"requests/{each['id']}?reveal=1")["request"] for each in (first, second)
            ]
            lower = [
                sorted([name.lower(), value] for name, value in each["headers"]) for each in same
            ]
            self.assertEqual(lower[0], lower[1])

    def test_har(self) -> None:
        self.begin()
        self.use("/page", Accept_Encoding="gzip", Cookie="a=s3cret")
        self.use("/upload", "POST", BINARY)
        self.use("/nothing")
        self.done(status="404")
        archive: Any = self.admin("requests.har").json()
        Draft202012Validator(ARCHIVE).validate(archive)
        entries = archive["log"]["entries"]
        self.assertEqual([each["response"]["status"] for each in entries], [200, 200, 404])
        self.assertNotIn("s3cret", json.dumps(archive))
        self.assertLess(
            entries[0]["response"]["bodySize"], entries[0]["response"]["content"]["size"]
        )

    def test_stream(self) -> None:
        """News come by themselves."""
        self.begin()
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        connection.request("GET", "/api/admin/stream?topics=requests")
        stream = connection.getresponse()
        self.assertEqual(stream.headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.use("/page?q=news")
        line = b""
        while b"q=news" not in line:
            line = stream.readline()
            self.assertTrue(line, "the stream has ended")
        message = json.loads(line.partition(b": ")[2])
        self.assertEqual(message["changed"][0]["path"], "/page?q=news")
        connection.close()

    def test_clear(self) -> None:
        self.begin()
        self.use("/page")
        self.done()
        self.assertEqual(self.admin("requests", "DELETE").status, 200)
        self.assertEqual(self.rows(), [])


class JupyterTests(InspectCase):
    """A real notebook server: what its pages do is seen, and works."""

    def test_a_kernel(self) -> None:
        jupyter = start_jupyter(self, "jupyter_server", "--ServerApp.allow_remote_access=True")
        self.start_server()
        proxy = http_proxy(jupyter, {"custom_domains": HOST, "inspect": True})
        self.start_client({"app": proxy}, {"admin_port": self.admin_port})
        user = JupyterUser(self.vhost_port, f"{HOST}:{self.vhost_port}")
        self.assertEqual(user.log_in().status, 302)
        started = user.ask("POST", "/api/kernels", "{}", user.proof)
        path = f"/api/kernels/{started.json()['id']}"
        with user.websocket(f"{path}/channels") as kernel:
            self.assertEqual(run_cell(kernel, "6 * 7"), ("", "42"))
        row = self.done(status="101")
        counted = self.get(f"requests/{row['id']}")["websocket"]
        self.assertGreaterEqual(counted["sent"], 1)
        self.assertGreaterEqual(counted["received"], 3)  # busy, the result, idle
        self.assertEqual(user.ask("DELETE", path, headers=user.proof).status, 204)
        form = self.rows(method="POST")[-1]
        self.assertEqual((form["path"], form["status"]), ("/login", 302))
        whole = self.get(f"requests/{form['id']}")
        self.assertIn(["Cookie", MASK], whole["request"]["headers"])
        self.assertFalse([row for row in self.rows() if row["error"]])
