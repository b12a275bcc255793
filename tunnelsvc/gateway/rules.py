# -*- test-case-name: tests.gateway.test_rules -*-
"""What one http proxy wants done to its requests: headers set, who may enter."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.wire.basicauth import admits, credentials, credentials_in
from tunnelsvc.wire.httphead import (
    Header,
    HeadError,
    RequestHead,
    check_text,
    parse_header,
)
from tunnelsvc.wire.httpheader import NOT_TO_BE_SET


def _shown(value: bytes) -> str:
    return "'***'" if value else "''"


@frozen
class Rules:
    """The keys of an http proxy that concern its requests; see `make_rules`.

    Attributes:
        host: value of the Host header; empty: the user's.
        headers: set in requests, instead of any that the user sent.
        credentials: user and password, if either is asked for: ``user:password``.
        response_headers: set in responses, instead of any that the service sent.
        names: those of `headers`, in lower case.
        response_names: those of `response_headers`, likewise.
    """

    host: bytes = b""
    headers: tuple[Header, ...] = ()
    credentials: bytes = field(default=b"", repr=_shown)
    response_headers: tuple[Header, ...] = ()
    names: frozenset[bytes] = field(init=False, repr=False)
    _spellings: frozenset[bytes] = field(init=False, repr=False)
    response_names: frozenset[bytes] = field(init=False, repr=False)

    @names.default
    def _lower_names(self) -> frozenset[bytes]:
        return frozenset(name.lower() for name, _ in self.headers)

    @_spellings.default
    def _only_dashes(self) -> frozenset[bytes]:
        return frozenset(map(_spelling, self.names))

    @response_names.default
    def _lower_response_names(self) -> frozenset[bytes]:
        return frozenset(name.lower() for name, _ in self.response_headers)

    def replaced(self, names: Sequence[bytes]) -> frozenset[bytes]:
        """Give those of a request's header names, in lower case, that `headers` stand in for.

        WSGI and CGI read ``X_Role`` as ``X-Role``: a user mustn't say again what is said for him.
        """
        return frozenset(name for name in names if _spelling(name) in self._spellings)

    def admit(self, head: RequestHead) -> bool:
        """Tell whether a request has the credentials (RFC 7617), in a time that tells nothing."""
        return not self.credentials or admits(self.credentials, credentials_of(head))


def _spelling(name: bytes) -> bytes:
    return name.replace(b"_", b"-")


def credentials_of(head: RequestHead) -> bytes:
    """Give ``user:password`` of a request, which nobody has checked; empty: none.

    One that is asked as one asks a proxy has them in Proxy-Authorization: in the other header are
    the service's (RFC 9110 section 11.7).
    """
    given = head.values(b"proxy-authorization" if head.is_for_proxy else b"authorization")
    return credentials_in(given[0]) if given else b""


def user_of(head: RequestHead) -> bytes:
    """Give the user that a request is from, by its own word; empty: it says none.

    As in frp a request to a proxy that has only the service's credentials is from that user: it
    finds what is routed by user, which asks for the right ones.
    """
    given = head.values(b"proxy-authorization") if head.is_for_proxy else []
    given = given or head.values(b"authorization")
    return credentials_in(given[0]).partition(b":")[0] if given else b""


def make_rules(
    *,
    host_header_rewrite: str = "",
    headers: Mapping[str, str] | None = None,
    response_headers: Mapping[str, str] | None = None,
    http_user: str = "",
    http_password: str = "",
) -> Rules:
    """Make rules of a proxy's configuration, checked.

    Args:
        host_header_rewrite: the Host that the service sees; empty: the user's.
        headers: names and values to set in requests.
        response_headers: names and values to set in responses.
        http_user: who may enter; with an empty password too, everybody.
        http_password: of that user.

    Raises:
        ProxyRefused: a value can't be sent in a header.
    """
    _, host = _header("Host", host_header_rewrite)
    return Rules(
        host=host,
        headers=_to_set(headers or {}),
        credentials=credentials(http_user, http_password),
        response_headers=_to_set(response_headers or {}),
    )


def _to_set(headers: Mapping[str, str]) -> tuple[Header, ...]:
    lines = (_header(name, value) for name, value in headers.items())
    return tuple(line for line in lines if line[0].lower() not in NOT_TO_BE_SET)


def _header(name: str, value: str) -> Header:
    line = f"{name}: {value}".encode()
    try:
        if b"\r" in line or b"\n" in line:
            raise HeadError("a line end")
        check_text(line)
        return parse_header(line)
    except HeadError as error:
        raise ProxyRefused(f"header [{name}] can't be set: {error}") from None
