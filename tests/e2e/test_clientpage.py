# -*- test-case-name: tests.e2e.test_clientpage -*-
"""The client's page in a real browser, of a real client with a real tunnel and web service."""

import json
import shlex
import struct
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from jsonschema import Draft202012Validator

from tests.client.inspection.har12 import ARCHIVE
from tests.e2e.commands import run_to_end
from tests.e2e.pages import UNREACHABLE
from tests.e2e.services import Answer, echo, request, websocket, websocket_echo
from tests.e2e.tunnel import TunnelTestCase, http_proxy, tcp_proxy
from tests.e2e.webpages import PageMixin
from tests.programs import Program, eventually, free_port, require_program

HOST: Final = "shop.example.com"
SECRETS: Final = {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.s3cr3t", "Cookie": "session=c00kie"}
ORDER: Final = {
    "customer": {"id": 4711, "name": "Ada Lovelace"},
    "items": [{"sku": "A-100", "quantity": 2}, {"sku": "B-7", "quantity": 1}],
    "express": True,
    "coupon": None,
}
HOSTILE: Final = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"

WIDTH: Final = 96


def png() -> bytes:
    """Make a small image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(
        b"\0" + b"".join(bytes((2 * x, 90 + y, 200 - y)) for x in range(WIDTH))
        for y in range(WIDTH)
    )
    head = struct.pack(">IIBBBBB", WIDTH, WIDTH, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class Shop(BaseHTTPRequestHandler):
    """A web service that takes orders, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, str]]
    """Method, path, Authorization, body."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def handle_any(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(
            errors="replace"
        )
        authorization = self.headers.get("Authorization", "")
        self.seen.append((self.command, self.path, authorization, body))
        if self.path.startswith("/plot.png"):
            self.answer(200, "image/png", png())
        elif self.path.startswith("/v1/stock"):
            self.answer(404, "application/json", b'{"error":"no such article"}')
        elif self.path.startswith("/v1/"):
            shape = {"id": 12345678901234567890, "state": "accepted", "number": len(self.seen)}
            given = json.loads(body) if body.startswith("{") else body
            self.answer(201, "application/json", json.dumps(shape | {"order": given}).encode())
        else:
            self.answer(200, "text/html", f"<p>{HOSTILE}".encode())

    def answer(self, status: int, media_type: str, body: bytes) -> None:
        """Say it."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Set-Cookie", "session=an0ther; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """See `handle_any`."""
        self.handle_any()

    def do_POST(self) -> None:
        """See `handle_any`."""
        self.handle_any()


class ClientPageTestCase(PageMixin, TunnelTestCase):
    """A shop behind an inspected proxy, and the page of the client that offers it."""

    def setUp(self) -> None:
        super().setUp()
        self.admin_port = free_port()
        self.url = f"http://127.0.0.1:{self.admin_port}/static/"
        self.seen: list[tuple[str, str, str, str]] = []
        handler = type("Shop", (Shop,), {"seen": self.seen})
        shop = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=shop.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(shop.server_close)
        self.addCleanup(shop.shutdown)
        self.shop_port: int = shop.server_address[1]

    def start(self) -> Program:
        """Start both programs; return the client."""
        self.start_server()
        ssh = self.local_service(echo).port
        options = {"custom_domains": HOST, "inspect": True}
        proxies = {"shop": http_proxy(self.shop_port, options), "ssh": tcp_proxy(ssh, free_port())}
        return self.start_client(proxies, {"admin_port": self.admin_port})

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
        """Ask the shop, through the tunnel, as a user does."""
        content = json.dumps(body).encode() if body is not None else None
        if body is not None:
            headers["Content-Type"] = "application/json"
        host = f"{HOST}:{self.vhost_port}"
        return request(
            self.vhost_port, path, method=method, host=host, headers={**SECRETS, **headers},
            body=content,
        )  # fmt: skip


class InspectorTests(ClientPageTestCase):
    """A request: seen, looked at, sent again, taken along."""

    def test_request(self) -> None:
        """From the first look at an empty list to clearing it."""
        require_program("curl")
        self.start()
        self.browse(self.look, permissions=["clipboard-read", "clipboard-write"])

    def look(self, page: Any) -> None:
        page.goto(f"{self.url}#/inspector")
        page.get_by_role("heading", name="Waiting for the first request").wait_for()
        for path in ("/", "/plot.png", "/v1/stock/77"):
            self.ask(path)
        self.ask("/v1/orders", "POST", ORDER)
        self.assertEqual(len(self.seen), 4)
        page.locator(".request").nth(3).wait_for()
        page.locator(".request").first.click()
        self.see_bodies(page)
        self.see_secrets(page)
        self.replay(page)
        self.replay_edited(page)
        self.copy_as_curl(page)
        self.export(page)
        self.clear(page)

    def see_bodies(self, page: Any) -> None:
        """JSON as it was sent, numbers that JavaScript hasn't among it; an image as one."""
        tree = page.get_by_role("group", name="Body of the response").locator(".json")
        tree.wait_for()
        self.assertIn("12345678901234567890", tree.inner_text())
        customer = page.get_by_role("group", name="Body of the request").get_by_text("customer")
        name = page.get_by_role("group", name="Body of the request").get_by_text("Ada Lovelace")
        self.assertTrue(name.is_visible())
        customer.click()
        self.assertFalse(name.is_visible())
        page.locator(".request-list").press("End")
        page.locator(".request-list").press("ArrowUp")
        image = page.locator("img.body-image")
        image.wait_for()
        eventually(lambda: image.evaluate("image => image.naturalWidth") == WIDTH, "the image")
        page.locator(".request-list").press("Home")
        name.wait_for()

    def see_secrets(self, page: Any) -> None:
        """One of them, then all, then none."""
        shown = page.locator(".detail")
        self.assertNotIn("s3cr3t", page.content())
        page.get_by_role("button", name="Show the secret in Authorization").click()
        shown.get_by_text("s3cr3t").wait_for()
        self.assertNotIn("c00kie", page.content())
        page.get_by_role("button", name="Show all secrets").click()
        shown.get_by_text("c00kie").wait_for()
        self.assertIn("an0ther", shown.inner_text())
        page.get_by_role("button", name="Hide secrets").click()
        self.assertNotIn("c00kie", page.content())

    def replay(self, page: Any) -> None:
        """The service gets the same again, and what it says is shown beside the original."""
        page.get_by_role("button", name="Replay", exact=True).click()
        compared = page.locator(".compare")
        compared.locator(".line-add").first.wait_for()
        self.assertEqual(self.seen[-1], self.seen[-2])
        self.assertEqual(self.seen[-1][2], SECRETS["Authorization"])
        self.assertIn('"number": 5', compared.locator(".line-add").inner_text())
        focused = page.locator(".detail :focus")  # who uses the keys isn't sent to the top
        self.assertEqual(focused.inner_text(), "Replay")

    def replay_edited(self, page: Any) -> None:
        """Another path, header and body; secrets, though nobody sees them, as before."""
        page.get_by_role("button", name="Edit and replay").click()
        page.get_by_label("Path").fill("/v1/orders?urgent=1")
        headers = page.get_by_label("Headers, one a line")
        self.assertNotIn("s3cr3t", headers.input_value())
        headers.fill(headers.input_value() + "\nnonsense")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("of the headers isn’t").wait_for()
        headers.fill(headers.input_value().replace("nonsense", "X-Try: 2"))
        page.get_by_label("Body", exact=True).fill('{"items":[]}')
        page.get_by_role("button", name="Send").click()
        page.get_by_role("heading", name="/v1/orders?urgent=1").wait_for()
        self.assertEqual(page.locator(".detail:focus").count(), 1)
        page.locator(".compare .line-add").first.wait_for()
        authorization = SECRETS["Authorization"]
        edited = ("POST", "/v1/orders?urgent=1", authorization, '{"items":[]}')
        self.assertEqual(self.seen[-1], edited)

    def copy_as_curl(self, page: Any) -> None:
        """What is copied is a command that does the same."""
        page.get_by_role("button", name="Show all secrets").click()
        page.get_by_role("button", name="Hide secrets").wait_for()
        page.get_by_role("button", name="Copy as curl").click()
        page.get_by_text("Copied", exact=True).first.wait_for()
        command = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        before = self.seen[-1]
        here = f"::127.0.0.1:{self.vhost_port}"
        run_to_end((*command, "--silent", "--connect-to", here))
        self.assertEqual(self.seen[-1], before)

    def export(self, page: Any) -> None:
        """Those of the filter, then those that are marked."""
        page.get_by_role("combobox", name="Status").select_option("4xx")
        page.locator("[role=option][aria-setsize='1']").wait_for()
        archive = self.downloaded(page, "Export HAR")
        Draft202012Validator(ARCHIVE).validate(archive)
        (entry,) = archive["log"]["entries"]
        self.assertEqual(entry["response"]["status"], 404)
        self.assertTrue(entry["request"]["url"].endswith("/v1/stock/77"))
        self.assertNotIn("s3cr3t", json.dumps(archive))
        page.get_by_role("combobox", name="Status").select_option("")
        page.get_by_text("7 requests").wait_for()
        page.locator(".request").first.click(modifiers=["Control"])
        page.locator(".request").nth(1).click(modifiers=["Control"])
        entries = self.downloaded(page, "Export 2 as HAR")["log"]["entries"]
        self.assertEqual([each["request"]["method"] for each in entries], ["POST", "POST"])
        told = self.downloaded(page, "Export 2 as HAR", "With secrets")
        self.assertIn("s3cr3t", json.dumps(told))

    def downloaded(self, page: Any, name: str, how: str = "Mask secrets") -> Any:
        """Download a HAR file."""
        page.get_by_role("button", name=name).click()
        with page.expect_download() as waiting:
            page.get_by_role("dialog").get_by_role("link", name=how).click()
        path = self.directory / "har"
        waiting.value.save_as(path)
        return json.loads(path.read_text(encoding="utf-8"))

    def clear(self, page: Any) -> None:
        page.get_by_role("button", name="Clear").click()
        page.get_by_role("dialog").get_by_role("button", name="Clear").click()
        page.get_by_role("heading", name="Waiting for the first request").wait_for()

    def test_websocket_and_search(self) -> None:
        """Messages are counted; a text is found in what only the client has."""
        self.start_server()
        chat = self.local_site("chat")
        options = {"custom_domains": HOST, "inspect": True}
        self.start_client({"chat": http_proxy(chat, options)}, {"admin_port": self.admin_port})

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/inspector")
            with websocket(self.vhost_port, HOST) as user:
                for _ in range(3):
                    websocket_echo(user, b"hello")
                page.locator(".request", has_text="WS").click()
                page.get_by_text("WebSocket: 3 messages from the user, 3 to the user.").wait_for()
                self.assertIn("under way", page.locator(".detail-facts").inner_text())
            self.assertEqual(page.get_by_role("button", name="Replay", exact=True).count(), 0)
            self.ask("/nothing")
            page.get_by_role("searchbox").fill('"site": "chat"')
            page.get_by_text("1 of 2").wait_for()
            self.assertIn("/nothing", page.locator(".request").inner_text())

        self.browse(look)

    def test_hostile_requests(self) -> None:
        """What users send is text to the page, wherever they put it."""
        self.start()
        path = "/" + HOSTILE.replace(" ", "%20") + "?q=" + HOSTILE.replace(" ", "+")
        headers = {"User_Agent": HOSTILE, "X_Note": HOSTILE}
        self.ask(path, **headers)
        self.ask("/v1/orders", "POST", {HOSTILE: [HOSTILE, {"__proto__": {"hit": 1}}]}, **headers)

        def look(page: Any) -> None:
            dialogs: list[str] = []
            page.on("dialog", lambda dialog: dialogs.append(dialog.message))
            page.goto(f"{self.url}#/inspector")
            page.locator(".request").nth(1).click()
            page.locator(".detail .body-text").wait_for()
            self.assertIn(HOSTILE, page.locator(".detail").inner_text())
            page.locator(".request").first.click()
            page.locator(".detail .json").first.wait_for()
            page.get_by_role("button", name="Edit and replay").click()
            page.get_by_role("button", name="Send").click()
            page.locator(".compare-bodies").wait_for()
            self.assertIn(HOSTILE, page.locator(".compare-bodies").inner_text())
            self.assertEqual(page.locator(".detail img, .detail script").count(), 0)
            self.assertIsNone(page.evaluate("window.hit ?? ({}).hit ?? null"))
            self.assertEqual(dialogs, [])

        self.browse(look)

    def test_hundreds_of_thousands_of_entries(self) -> None:
        """They fit into a few KiB, compressed; a page that shows all of them stands still."""
        self.start()
        count = 250_000
        for kind, body in (
            ("application/json", b"[" + b"0," * count + b"0]"),
            ("application/x-www-form-urlencoded", b"a&" * count),
        ):
            headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
            request(
                self.vhost_port, "/v1/orders", method="POST", host=f"{HOST}:{self.vhost_port}",
                headers=headers, body=zlib.compress(body, wbits=16 + zlib.MAX_WBITS),
            )  # fmt: skip

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/inspector")
            rows = page.locator(".detail .pairs tr")
            page.locator(".request").first.click()
            for thousands in (1, 2):
                rows.nth(1000 * thousands - 1).wait_for()
                self.assertEqual(rows.count() // 1000, thousands)
                if thousands == 1:
                    page.get_by_role("button", name="Show more").click()
            page.locator(".request").nth(1).click()
            tree = page.locator(".detail .json").first
            tree.locator("summary", has_text="250,001").click()
            tree.locator(".json-leaf").nth(999).wait_for()
            self.assertEqual(tree.locator(".json-leaf").count(), 1000)

        self.browse(look)


class StatusTests(ClientPageTestCase):
    """How the client is, and what changes about that."""

    def test_status_and_configuration(self) -> None:
        """A proxy is added by the page: wrong at first, then right, then it is there."""
        self.start()
        self.browse(self.look, forgiven="400 .*/reload")
        text = (self.directory / "frpc.ini").read_text(encoding="utf-8")
        self.assertIn("[files]", text)

    def look(self, page: Any) -> None:
        page.get_by_text(f"Connected to 127.0.0.1:{self.bind_port}").wait_for()
        page.get_by_role("link", name=f"http://{HOST}:{self.vhost_port}/").wait_for()
        self.assertEqual(page.get_by_text("running", exact=True).count(), 2)
        self.assertEqual(page.get_by_role("link", name="Inspected").count(), 1)
        page.get_by_role("tab", name="Configuration").click()
        page.locator(".editor-line >> nth=5").wait_for()
        area = page.get_by_label("The configuration file")
        old, port = area.input_value(), free_port()
        more = f"\n[files]\ntype = tcp\nlocal_port = {self.shop_port}\nremote_port = 99{port}\n"
        area.fill(old + more)
        problem = page.locator(".problem-link").first
        problem.wait_for()
        problem.click()
        self.assertTrue(page.locator(".editor-line.wrong").first.is_visible())
        self.assertFalse(page.get_by_role("button", name="Review and apply").is_enabled())
        area.fill(area.input_value().replace(f"99{port}", str(port)))
        page.get_by_text("changed, and right").wait_for()
        page.get_by_role("button", name="Review and apply").click()
        dialog = page.get_by_role("dialog")
        self.assertIn("[files]", dialog.locator(".diff-add").all_inner_texts()[1])
        self.assertEqual(dialog.locator(".diff-remove").count(), 0)
        self.assertEqual(dialog.locator(".mark.good").inner_text(), "files")
        dialog.get_by_role("button", name="Write and reload").click()
        page.get_by_text("The file is written, and holds.").first.wait_for()
        page.get_by_role("tab", name="Status").click()
        files = page.locator(".item", has_text="files")
        files.get_by_text("running").wait_for()
        self.reload(page)

    def reload(self, page: Any) -> None:
        """A file that was changed by hand, at first badly."""
        path = self.directory / "frpc.ini"
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "\n[bad]\ntype = nonsense\n", encoding="utf-8")
        page.get_by_role("button", name="Reload the file").click()
        page.get_by_text("not a type of proxy").wait_for()
        path.write_text(text.replace("[files]", "[archive]"), encoding="utf-8")
        page.get_by_role("button", name="Reload the file").click()
        page.get_by_text("Added: archive").wait_for()
        page.get_by_text("Removed: files").wait_for()
        page.locator(".item", has_text="archive").get_by_text("running").wait_for()
        path.write_text(text, encoding="utf-8")

    def test_what_goes_away_and_comes_back(self) -> None:
        """The tunnel's server, then the client itself."""
        server = self.start_server()
        proxies = {"shop": http_proxy(self.shop_port, {"custom_domains": HOST, "inspect": True})}
        options = {"admin_port": self.admin_port, "login_fail_exit": False}
        client = self.start_client(proxies, options)

        def look(page: Any) -> None:
            page.get_by_text("Connected to").first.wait_for()
            server.stop()
            page.get_by_text("Not connected to").wait_for()
            page.get_by_text("What to do:").first.wait_for()
            self.start_server()
            page.get_by_text("Connected to", exact=False).first.wait_for()
            client.stop()
            page.get_by_text("The client hasn’t answered since").wait_for()
            self.start_client(proxies, options)
            page.get_by_text("The client is back.").wait_for()
            self.assertFalse(page.get_by_text("The client hasn’t answered since").is_visible())
            self.ask("/v1/orders", "POST", ORDER)
            page.get_by_role("tab", name="Inspector").click()
            page.locator(".request").first.wait_for()

        self.browse(look, forgiven=UNREACHABLE.pattern)

    def test_password(self) -> None:
        """Who has logged in by the form can change something, and leave."""
        self.start_server()
        options = {"custom_domains": HOST, "inspect": True}
        admin = {"admin_port": self.admin_port, "admin_user": "ada", "admin_pwd": "lovelace"}
        self.start_client({"shop": http_proxy(self.shop_port, options)}, admin)

        def look(page: Any) -> None:
            page.fill("input[name=user]", "ada")
            page.fill("input[name=password]", "lovelace")
            page.click("button[type=submit]")
            page.get_by_text("Connected to").first.wait_for()
            page.get_by_role("button", name="Reload the file").click()
            page.get_by_text("Reloaded", exact=True).wait_for()
            page.get_by_role("tab", name="Configuration").click()
            page.locator(".editor-line >> nth=5").wait_for()
            # Who knows the password sees the file as it is.
            self.assertIn("lovelace", page.get_by_label("The configuration file").input_value())
            page.get_by_role("button", name="Log out").click()
            page.wait_for_selector("input[name=password]")

        self.browse(look)

    def test_chinese(self) -> None:
        self.start()

        def look(page: Any) -> None:
            page.get_by_role("heading", name="代理").wait_for()
            self.assertEqual(page.locator("html").get_attribute("lang"), "zh-CN")
            page.locator(".item", has_text="shop").get_by_text("运行中").wait_for()
            self.check_access(page, "status in Chinese")
            page.get_by_role("tab", name="请求检查器").click()
            page.get_by_role("heading", name="等待第一个请求").wait_for()

        self.browse(look, locale="zh-CN")
