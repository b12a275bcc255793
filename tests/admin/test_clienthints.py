# -*- test-case-name: tests.admin.test_clienthints -*-
"""Tests of `tunnelsvc.admin.clienthints`: errors as our programs and frp's word them."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.clienthints import KEYS, NO_HINT, of_login, of_proxy

LOGIN = "login to server failed: "
LOGINS = {
    f"{LOGIN}token in login doesn't match token from configuration [vps:7000]": "wrong_token",
    f"{LOGIN}authorization failed [vps:7000]": "wrong_token",
    f"{LOGIN}authorization timeout [vps:7000]": "clock",
    f"{LOGIN}blocked by the server's administrator [vps:7000]": "blocked",
    f"{LOGIN}client_id [a] for user [] is already online [vps:7000]": "client_id_taken",
    f"{LOGIN}Connection was refused by other side: 111: Connection refused. [vps:7000]": (
        "server_refuses"
    ),
    f"{LOGIN}DNS lookup failed: no results for hostname lookup: nowhere. [vps:7000]": (
        "unknown_host"
    ),
    f"{LOGIN}User timeout caused connection failure. [vps:7000]": "server_unreachable",
    f"{LOGIN}User timeout caused connection failure: no message within 10 s. [vps:7000]": (
        "no_answer"
    ),
    f"{LOGIN}No route to host: 113: No route to host. [vps:7000]": "server_unreachable",
    f"{LOGIN}TLS: certificate verify failed [vps:7000]": "tls",
    f"{LOGIN}the server hung up without an answer; does it speak this protocol? "
    "(Connection was closed cleanly.) [vps:7000]": "no_answer",
    "connection to server vps:7000 lost: Connection was closed cleanly.": "lost",
    "": "",
    "something new": "",
}
PROXIES = {
    "port already used": "port_taken",
    "port unavailable": "port_taken",
    "can't listen on port 9000: [Errno 98] Address already in use": "port_taken",
    "port not allowed": "port_not_allowed",
    "no available port": "no_port_left",
    "exceed the max_ports_per_client": "too_many_ports",
    "proxy [web] already exists": "name_taken",
    "proxy name [web] is already in use": "name_taken",
    "router config conflict": "domain_taken",
    "type [http] not supported when vhost http port is not set": "no_vhost_port",
    "type [https] not supported when vhost https port is not set": "no_vhost_port",
    "subdomain is not supported because this feature is not enabled": "no_subdomains",
    "custom domain [a.b] should not belong to subdomain host [b]": "use_subdomain",
    "proxy [web] is disabled by the server's administrator": "disabled",
    "group auth failed": "group",
    "group params invalid": "group",
    "visitor connection of [ssh] auth failed (sk must be the same)": "wrong_sk",
    "custom listener for [ssh] doesn't exist (is the owner's client logged in?)": "no_owner",
    "visitor connection of [ssh] user [me] not allowed": "visitor_not_allowed",
    "proxy type not support": "type_unknown",
    "unknown proxy type: xtcp (not supported yet)": "type_unknown",
    "connect to local service [127.0.0.1:80] error: Connection was refused": "local_down",
    "": "",
    "something new": "",
}


class HintTests(SynchronousTestCase):
    def test_logins(self) -> None:
        for error, key in LOGINS.items():
            self.assertEqual(of_login(error).key, key, error)

    def test_proxies(self) -> None:
        for error, key in PROXIES.items():
            self.assertEqual(of_proxy(error).key, key, error)
        self.assertEqual(of_proxy("", check_failed=True).key, "health_check")

    def test_all_are_tried(self) -> None:
        tried = {*LOGINS.values(), *PROXIES.values(), "health_check"}
        self.assertEqual(set(KEYS) - tried, {"version", "http_proxy"})
        self.assertEqual(of_login(f"{LOGIN}client version too old").key, "version")
        self.assertEqual(of_login(f"{LOGIN}the proxy answered 407").key, "http_proxy")

    def test_keys_are_different(self) -> None:
        self.assertEqual(len(KEYS), len(set(KEYS)))
        self.assertEqual((NO_HINT.key, NO_HINT.text), ("", ""))
        for error in (*LOGINS, *PROXIES):
            for hint in of_login(error), of_proxy(error):
                self.assertEqual(bool(hint.key), bool(hint.text))
                self.assertFalse("  " in hint.text)
