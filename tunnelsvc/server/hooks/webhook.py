# -*- test-case-name: tests.server.hooks.test_webhook -*-
"""One server plugin: requests to its web service, over connections that are used again."""

from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http import OK, PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from tunnelsvc.addresses import is_address
from tunnelsvc.config.schema import WebhookConfig
from tunnelsvc.errors import TunnelError
from tunnelsvc.server.hooks.contents import MOST_ANSWER_BYTES, VERSION

IDLE_SECONDS: Final = 4
"""How long a connection is kept for the next request: less than the 5 s of the most impatient
servers in use (uvicorn, node), so that hardly any is closed as it is used."""


class WebhookError(TunnelError):
    """A plugin gave no answer that counts. Never leaves this package."""


class Webhook:
    """A plugin's web service.

    Args:
        config: where it is.
        reactor: connects.
        connections: how many are kept.
        timeout_seconds: for connecting.

    Attributes:
        name: of its section.
    """

    def __init__(
        self, config: WebhookConfig, reactor: Any, *, connections: int, timeout_seconds: float
    ) -> None:
        self.name = config.name
        path = config.path or "/"
        self._url = f"{config.addr}{path}{'&' if '?' in path else '?'}"
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        self._pool.retryAutomatically = False  # it knows of no number by which requests are one
        policy = BrowserLikePolicyForHTTPS() if config.tls_verify else _Unverified()
        self._agent = Agent(reactor, policy, timeout_seconds, pool=self._pool)

    async def post(self, op: str, body: bytes, number: str) -> bytes:
        """Make a request.

        Args:
            op: what it is about.
            body: of the request.
            number: of the question; tells a plugin of two requests that they are one.

        Returns:
            The body of the response.

        Raises:
            WebhookError: there is none, or its status isn't 200.
        """
        try:
            response = await self._request(op, body, number)
            answer = await _body(response)
        except (WebhookError, CancelledError):
            raise
        except Exception as why:  # noqa: BLE001 - whatever a network and a web server can do
            reasons: list[Failure] = getattr(why, "reasons", [])
            if any(each.check(CancelledError) for each in reasons):
                raise CancelledError from None
            told = "; ".join(each.getErrorMessage() for each in reasons)
            raise WebhookError(told or str(why) or type(why).__name__) from None
        if response.code != OK:
            raise WebhookError(f"its status is {response.code}, not 200")
        return answer

    async def _request(self, op: str, body: bytes, number: str) -> IResponse:
        headers = Headers(
            {
                b"Content-Type": [b"application/json"],
                b"User-Agent": [b"tunnelsvc"],
                b"X-Frp-Reqid": [number.encode()],
            }
        )
        url = f"{self._url}version={VERSION}&op={op}".encode()
        try:
            return await self._agent.request(b"POST", url, headers, _Body(body))
        except (ResponseNeverReceived, RequestTransmissionFailed) as why:
            # It closed a connection that it had kept, as this request was on its way.
            if not all(each.check(ConnectionDone, ConnectionLost) for each in why.reasons):
                raise
        return await self._agent.request(b"POST", url, headers, _Body(body))

    async def close(self) -> None:
        """Close the connections that are kept."""
        # One that was just used is given back within this turn.
        await deferLater(self._reactor, 0)
        await self._pool.closeCachedConnections()


@implementer(IBodyProducer)
class _Body:
    """Gives all at once."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing to do: all was given."""

    def resumeProducing(self) -> None:
        """Likewise."""

    def stopProducing(self) -> None:
        """Likewise."""


def _body(response: IResponse) -> Deferred[bytes]:
    reading = _Reading()
    response.deliverBody(reading)
    return reading.whole


class _Reading(Protocol):
    """Reads a body, up to the limit; ``readBody`` has none."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._body = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MOST_ANSWER_BYTES:
            self._end(WebhookError(f"its answer is longer than {MOST_ANSWER_BYTES} bytes"))
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Who says no length ends with the connection (HTTP/1.0).
        if reason.check(ResponseDone, PotentialDataLoss):
            self._end(bytes(self._body))
        else:
            self._end(reason.value)

    def _end(self, result: Any) -> None:
        if not self.whole.called:
            self.whole.callback(result) if isinstance(result, bytes) else self.whole.errback(result)

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            getattr(transport, "abortConnection", transport.loseConnection)()


@implementer(IPolicyForHTTPS)
class _Unverified:
    """Takes whatever certificate there is, as frp does unless ``tls_verify`` is set."""

    def __init__(self) -> None:
        self._context = CertificateOptions(verify=False).getContext()

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002, N802
        return _UnverifiedConnection(self._context, hostname)


@implementer(IOpenSSLClientConnectionCreator)
class _UnverifiedConnection:
    def __init__(self, context: SSL.Context, hostname: bytes) -> None:
        self._context = context
        self._hostname = hostname

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:  # noqa: ARG002
        connection = SSL.Connection(self._context, None)
        if not is_address(self._hostname.decode("ascii")):
            connection.set_tlsext_host_name(self._hostname)
        return connection
