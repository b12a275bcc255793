"""Exchanges that were recorded, without a network."""

from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.wire.httprecord import Conversation
from tunnelsvc.wire.messages import StartWorkConn

USER = StartWorkConn(proxy_name="web", src_addr="192.0.2.1", src_port=50123)
NOW = 1_770_000_000.0


class Named(Inspector):
    """An inspector of one proxy."""

    def __init__(self, proxy: str = "web", **bounds: int) -> None:
        super().__init__(**bounds)
        self.proxy = proxy

    def began(self, exchange: Exchange) -> None:
        exchange.proxy = self.proxy
        super().began(exchange)


def request(
    target: str = "/",
    *headers: str,
    method: str = "GET",
    body: bytes = b"",
    host: str = "a.example",
) -> bytes:
    """Make the bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def response(*headers: str, status: str = "200 OK", body: bytes = b"") -> bytes:
    """Make the bytes of a response."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def record(inspector: Inspector, asked: bytes, answered: bytes = b"", why: str = "") -> Exchange:
    """Have a whole connection recorded; return its latest exchange, which took two seconds."""
    now = NOW
    conversation = Conversation(USER, inspector, lambda: now)
    conversation.requests.feed(asked)
    now += 2
    conversation.responses.feed(answered)
    conversation.close(why)
    return next(inspector.newest_first())
