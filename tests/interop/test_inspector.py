# -*- test-case-name: tests.interop.test_inspector -*-
"""The inspector of our client behind every real frps below ``FRP_BIN_DIR``."""

import json

import websocket

from tests.e2e.inspected import HOST, InspectCase
from tests.interop.binaries import add_tests, with_each_server
from tests.programs import PATIENCE, Peer


class FrpServerTests(InspectCase):
    """Requests come as that server writes them."""

    def check(self, server: Peer) -> None:
        """Plain, with cipher and compression, a WebSocket, and again."""
        self.server_peer = server
        self.begin({"use_encryption": True, "use_compression": True})
        answer = self.use("/upload", "POST", b"x" * 1000, Authorization="Basic s3cret")
        row = self.done()
        self.assertEqual((row["method"], row["path"], row["status"]), ("POST", "/upload", 200))
        self.assertEqual(row["user"], "127.0.0.1")
        self.assertTrue(row["url"].startswith(f"http://{HOST}"), row["url"])
        body = self.get(f"requests/{row['id']}")["response"]["body"]
        self.assertEqual(body["text"].encode(), answer.body)
        user = websocket.create_connection(
            f"ws://127.0.0.1:{self.vhost_port}/chat", host=HOST, timeout=PATIENCE,
            suppress_origin=True,
        )  # fmt: skip
        user.send("hello")
        self.assertEqual([user.recv(), user.recv()], ["hello", "hello"])
        user.close()
        row = self.done(status="101")
        counted = self.get(f"requests/{row['id']}")["websocket"]
        self.assertEqual(counted, {"sent": 1, "received": 2})
        again = self.admin(f"requests/{self.rows(method='POST')[0]['id']}/replay", "POST", b"{}")
        self.assertEqual(again.status, 200)
        row = self.done(method="POST")
        self.assertEqual((row["id"], row["status"]), (again.json()["id"], 200))
        text = self.get(f"requests/{row['id']}")["response"]["body"]["text"]
        self.assertEqual(json.loads(text)["length"], 1000)


add_tests(FrpServerTests, with_each_server({"inspected": FrpServerTests.check}))
