# -*- test-case-name: tests.admin.test_clienthints -*-
"""What to do about what goes wrong: for each error that is known, a sentence and a key.

The sentence is English; by the key a page finds one in another language. The errors are those of
our own server, and of frps since 0.33.
"""

import re
from typing import Final

from attrs import frozen


@frozen
class Hint:
    """What to do.

    Attributes:
        key: by which it can be translated; empty: there is no hint.
        text: a sentence or two.
    """

    key: str = ""
    text: str = ""


NO_HINT: Final = Hint()

# The first that is found in an error counts.
_OF_LOGINS: Final = (
    (
        r"doesn't match token|authorization failed|token in (?:login|heartbeat)",
        "wrong_token",
        (
            "The token isn't the server's. Copy token from the server's file (auth.token in "
            "TOML), without blanks around it, and restart the client."
        ),
    ),
    (
        r"authorization timeout|timestamp",
        "clock",
        "The clocks of this machine and the server differ too much. Set both by NTP.",
    ),
    (
        r"blocked by the server's administrator",
        "blocked",
        (
            "The server's administrator has blocked this client, and can allow it again on "
            "the dashboard."
        ),
    ),
    (
        r"client_id .* already online|already in use by another client",
        "client_id_taken",
        ("Another client is logged in with this client_id. Give each client one of its own."),
    ),
    (
        r"Connection was refused|[Cc]onnection refused",
        "server_refuses",
        (
            "Nothing listens at that address and port. Is the server running? server_port "
            "here must be bind_port there, and a firewall must let it through."
        ),
    ),
    (
        r"DNS lookup failed|no results for hostname|Name or service not known|no such host",
        "unknown_host",
        (
            "The name in server_addr isn't known. Look for a misspelling, and whether this "
            "machine can look names up."
        ),
    ),
    (
        r"hung up without an answer|no message within|wrong version number",
        "no_answer",
        (
            "What listens there isn't a tunnel server, or not with these settings. Is "
            "server_port the bind_port, and not a vhost or dashboard port? Compare "
            "tls_enable, protocol and tcp_mux."
        ),
    ),
    (
        r"[Tt]imeout|timed out|took longer|No route to host|[Nn]etwork is unreachable",
        "server_unreachable",
        (
            "The server doesn't answer. Is server_addr right? A firewall, or the provider's "
            "security group, may drop what is sent to server_port; some networks let out only"
            " what looks like the web: try protocol = wss, or http_proxy."
        ),
    ),
    (
        r"certificate|TLS|SSL|handshake",
        "tls",
        (
            "The two ends don't agree about TLS. With tls_trusted_ca_file the server's "
            "certificate must be signed by that CA, and be for tls_server_name or "
            "server_addr. A server with tls_only wants tls_enable = true."
        ),
    ),
    (
        r"version|too old|not support",
        "version",
        "The two programs are of versions that don't fit. Update the older one.",
    ),
    (
        r"proxy answered|through proxy|http_proxy",
        "http_proxy",
        (
            "The proxy of http_proxy doesn't let us through. Check its address, user and "
            "password, and whether it allows CONNECT to server_port."
        ),
    ),
    (
        r"connection to server .* lost",
        "lost",
        (
            "The connection broke; it is tried again by itself. If this happens all the time,"
            " something between ends idle connections: lower heartbeat_interval."
        ),
    ),
)

_OF_PROXIES: Final = (
    (
        r"port already used|port unavailable|address already in use|can't listen on port",
        "port_taken",
        "Another proxy or program has this port. Choose another one, or end what has it.",
    ),
    (
        r"port not allowed",
        "port_not_allowed",
        (
            "The server doesn't give this port away. Choose a remote_port from its "
            "allow_ports, or have it added there."
        ),
    ),
    (
        r"no available port",
        "no_port_left",
        (
            "All ports that the server gives away are taken. Name a remote_port, or have "
            "allow_ports extended."
        ),
    ),
    (
        r"max_ports_per_client",
        "too_many_ports",
        (
            "This client has all the ports that the server gives to one. Remove a proxy, or "
            "have max_ports_per_client raised."
        ),
    ),
    (
        r"\[[^\]]*\] (?:already exists|is already in use)",
        "name_taken",
        (
            "Another client has a proxy of this name. Rename this one, or set user to "
            "something that only this client has: it is put before the names."
        ),
    ),
    (
        r"router config conflict|domain .* (?:taken|used|conflict)",
        "domain_taken",
        (
            "Another proxy has this domain, with the same locations. Choose another domain or"
            " subdomain, or give both the same group and group_key."
        ),
    ),
    (
        r"vhost http port is not set|vhost https port is not set|tcpmux.*port is not set",
        "no_vhost_port",
        (
            "The server doesn't take this type: its vhost_http_port (http), vhost_https_port "
            "(https) or tcpmux_httpconnect_port (tcpmux) must be set."
        ),
    ),
    (
        r"subdomain is not supported|subdomain_host",
        "no_subdomains",
        (
            "The server has no subdomain_host. Use custom_domains with a name that leads to "
            "the server, or have subdomain_host set."
        ),
    ),
    (
        r"should not belong to subdomain host|belongs? to (?:the )?subdomain",
        "use_subdomain",
        (
            "Names below the server's subdomain_host are had by subdomain = name, not by "
            "custom_domains."
        ),
    ),
    (
        r"disabled by the server's administrator",
        "disabled",
        (
            "The server's administrator has disabled this proxy, and can enable it again on "
            "the dashboard."
        ),
    ),
    (
        r"group (?:auth failed|params invalid|should have same)",
        "group",
        "Proxies of a group must have the same group_key, type and port or domain.",
    ),
    (
        r"not support|unknown proxy type|proxy type",
        "type_unknown",
        "The server is too old for this, or made without it. Update it.",
    ),
    (
        r"visitor connection .* auth failed",
        "wrong_sk",
        "sk (secretKey in TOML) must be the same here and in the owner's file.",
    ),
    (
        r"custom listener for .* doesn't exist",
        "no_owner",
        (
            "Nobody offers a proxy of that name. Is the owner's client logged in, and are "
            "server_name, and server_user if the owner has a user, right?"
        ),
    ),
    (
        r"visitor connection .* not allowed",
        "visitor_not_allowed",
        "The owner lets in others only: allow_users there must have our user, or *.",
    ),
    (
        r"connect to local service",
        "local_down",
        (
            "Nothing answers at the local address. Is the service running, and is local_port "
            "right? A service in a container or another machine needs its address in "
            "local_ip."
        ),
    ),
)

_HEALTH: Final = Hint(
    "health_check",
    "The local service doesn't pass its health check, so users aren't sent to it. It is announced"
    " again as soon as the check succeeds. Look at the service, and at health_check_url.",
)


def _compiled(table: tuple[tuple[str, str, str], ...]) -> list[tuple[re.Pattern[str], Hint]]:
    return [(re.compile(pattern), Hint(key, text)) for pattern, key, text in table]


_LOGINS: Final = _compiled(_OF_LOGINS)
_PROXIES: Final = _compiled(_OF_PROXIES)


def of_login(error: str) -> Hint:
    """Say what to do about an error because of which there is no session."""
    return _first(_LOGINS, error)


def of_proxy(error: str, *, check_failed: bool = False) -> Hint:
    """Say what to do about an error of a proxy or a visitor.

    Args:
        error: may be empty.
        check_failed: whether the proxy is withdrawn because of its health check.
    """
    return _HEALTH if check_failed else _first(_PROXIES, error)


def _first(table: list[tuple[re.Pattern[str], Hint]], error: str) -> Hint:
    if not error:
        return NO_HINT
    return next((hint for pattern, hint in table if pattern.search(error)), NO_HINT)


KEYS: Final = ("", _HEALTH.key, *(hint.key for _, hint in (*_LOGINS, *_PROXIES)))
"""All there are, for who translates."""
