# -*- test-case-name: tests.test_imports -*-
"""What the programs must not import: most of a program's memory at rest is its imports.

Each test runs a program as users do, to the point where it waits for work, and asks it.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.programs import free_port

PATIENCE: Final = 60
"""Seconds a program may take to start and end."""

NOBODY: Final = {
    "_hashlib": "a second OpenSSL, 3.4 MiB: hashlib has functions of its own",
    "asyncio": "2 MiB with concurrent.futures: Twisted wants three names of it",
    "cramjam": "1.5 MiB: no proxy compresses",
    "ctypes": "0.4 MiB: this isn't Windows",
    "difflib": "no key is misspelt",
    "email.parser": "with http.client, 1.5 MiB that http.cookiejar brings along",
    "html.entities": "0.45 MiB: nobody reads HTML",
    "http.client": "we are a proxy, not a client",
    "h2": "nobody has spoken HTTP/2",
    "logging": "0.3 MiB: Twisted has a log of its own",
    "pickle": "0.3 MiB: for plugins that are looked for, and applications in files",
    "shutil": "0.4 MiB with bz2, lzma and tempfile: for files, and there are none",
    "subprocess": "0.5 MiB: nobody runs a program",
    "tokenize": "0.2 MiB: nobody looks at source text",
    "tomllib": "the files are INI files",
    "tunnelsvc.config.document": "likewise",
    "tunnelsvc.config.gotemplate": "likewise",
    "tunnelsvc.config.includes": "they include none",
    "tunnelsvc.config.names": "likewise",
    "tunnelsvc.config.tables": "likewise",
    "yaml": "likewise",
    "idna": "no name has letters that need it",
    "prometheus_client": "no dashboard",
    "service_identity": "no certificate is verified",
    "sqlite3": "no dashboard with a data_dir",
    "tunnelsvc.control.hello": "nobody has spoken wire protocol v2",
    "tunnelsvc.wire.aead": "likewise",
    "tunnelsvc.wire.framing2": "likewise",
    "tunnelsvc.wire.hello": "likewise",
    "tunnelsvc.wire.reframe": "likewise",
    "tunnelsvc.link.names": "no dns_server",
    "tunnelsvc.link.viaproxy": "no http_proxy",
    "tunnelsvc.link.websocket": "nobody comes or goes by one",
    "twisted.internet._sslverify": "1 MiB, service_identity included: TLS is ours",
    "twisted.protocols.tls": "likewise",
    "twisted.persisted.styles": "nobody pickles",
    "twisted.python.modules": "nobody looks for plugins",
    "twisted.names": "no dns_server",
    "twisted.web": "no dashboard",
    "unittest": "for tests",
    "zipfile": "plugins again",
}
"""Module to the reason why neither program imports it."""

NOT_FOR_PAGES: Final = (
    "_hashlib",
    "h2",
    "prometheus_client",
    "service_identity",
    "sqlite3",
    "twisted.internet._sslverify",
)
"""Those of them that don't come with the pages of a program either."""

NOT_THE_SERVER: Final = {
    "_ssl": "a second OpenSSL, 5 MiB: certificates are cryptography's",
    "tunnelsvc.admin": "no dashboard",
    "tunnelsvc.client": "of the other program",
    "tunnelsvc.config.changes": "its file hasn't changed",
    "tunnelsvc.config.proxies": "0.8 MiB, and proxies are in the client's file",
    "tunnelsvc.config.sections": "likewise",
    "tunnelsvc.gateway.accesslog": "no access log",
    "tunnelsvc.linefile": "likewise",
    "tunnelsvc.link.hello": "no vhost_https_port",
    "tunnelsvc.server.sitecertificates": "likewise",
    "tunnelsvc.server.tlsvhost": "likewise",
    "tunnelsvc.wire.clienthello": "likewise",
    "twisted.internet.endpoints": "the server dials nobody",
}
NOT_THE_CLIENT: Final = {
    "OpenSSL": "Python's own TLS does for who shows and verifies nothing",
    "cryptography": "14 MiB with OpenSSL: likewise, and pycryptodome has the other cipher",
    "tunnelsvc.admin": "the server's dashboard",
    "typing_extensions": "0.4 MiB: types are checked elsewhere",
    "tunnelsvc.client.health": "no health checks",
    "tunnelsvc.client.httpcheck": "likewise",
    "tunnelsvc.client.inspection": "no proxy is inspected",
    "tunnelsvc.wire.httprecord": "likewise",
    "tunnelsvc.wire.httphead": "likewise",
    "tunnelsvc.client.plugins": "no proxy has one",
    "tunnelsvc.client.visitors": "there are none",
    "tunnelsvc.config.plugins": "likewise",
    "tunnelsvc.gateway": "the server's, and some plugins'",
    "tunnelsvc.metrics": "the server's dashboard",
    "tunnelsvc.server": "of the other program",
}

NOT_TO_LOG_IN: Final = {
    "cffi": "1.5 MiB: pycryptodome does without",
    **{name: NOBODY[name] for name in ("shutil", "subprocess")},
    **{name: NOT_THE_CLIENT[name] for name in ("OpenSSL", "cryptography")},
}
WITHOUT_TLS: Final = {"_ssl": "5 MiB", "tunnelsvc.link.tlsengine": "there is no TLS"}

# Runs the program given by its arguments until its reactor waits, and lists its modules.
SHOW: Final = """
import json, sys
from tunnelsvc.cli import main  # first, as users have it
from twisted.internet import reactor
reactor.callLater(0, reactor.stop)
status = main(sys.argv[1:])
sys.__stdout__.write("\\n" + json.dumps(sorted(sys.modules)) + "\\n")
sys.exit(status)
"""

# Before it: what a client does when it has logged in.
ENCRYPT: Final = """
import tunnelsvc.cli
from twisted.internet import reactor
from tunnelsvc.wire.cfb import Encryptor, derive_key
reactor.callLater(0, lambda: Encryptor(derive_key("secret")).feed(b"hello"))
"""

SERVER_FILE: Final = """\
[common]
bind_addr = 127.0.0.1
bind_port = {port}
token = secret
"""

# The discard port, so that whatever becomes of it, nobody answers.
CLIENT_FILE: Final = """\
[common]
server_addr = 127.0.0.1
server_port = 9
token = secret
login_fail_exit = false
tls_enable = {tls}

[web]
type = http
local_port = 80
custom_domains = web.example
"""


class ImportTests(SynchronousTestCase):
    """The modules of the programs at rest."""

    def modules(self, role: str, content: str, before: str = "") -> list[str]:
        """Run a program; return the names of what it has imported."""
        path = Path(self.mktemp())
        path.write_text(content, encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-P", "-c", before + SHOW, role, "-c", str(path)],
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        names: list[str] = json.loads(ended.stdout.splitlines()[-1])
        self.assertIn("twisted.internet.epollreactor", names)
        return names

    def check(self, names: Iterable[str], unwanted: dict[str, str]) -> None:
        """None is there, by itself or by one of its modules."""
        found = {
            f"{module}: {reason}"
            for module, reason in unwanted.items()
            for name in names
            if name == module or name.startswith(f"{module}.")
        }
        self.assertEqual(found, set())

    def test_server(self) -> None:
        self.check(
            self.modules("server", SERVER_FILE.format(port=free_port())), NOBODY | NOT_THE_SERVER
        )

    def test_pages(self) -> None:
        """A site of a program has no HTTP/2, and without certificate not Twisted's TLS."""
        unwanted = {name: NOBODY[name] for name in NOT_FOR_PAGES}
        for role, content, key in (
            ("server", SERVER_FILE.format(port=free_port()), "dashboard"),
            ("client", CLIENT_FILE.format(tls="true"), "admin"),
        ):
            site = f"[common]\n{key}_port = {free_port()}\n{key}_user = u\n{key}_pwd = p\n"
            names = self.modules(role, content.replace("[common]\n", site))
            self.assertIn("twisted.web.server", names)
            self.check(names, unwanted)
        # Of the client's, whose page believes nobody about others.
        self.check(names, {"tunnelsvc.gateway": NOT_THE_CLIENT["tunnelsvc.gateway"]})

    def test_plugin(self) -> None:
        """One that needs neither HTTP nor TLS brings neither."""
        unix = "plugin = unix_domain_socket\nplugin_unix_path = app.sock\n"
        web = "type = http\nlocal_port = 80\ncustom_domains = web.example\n"
        socks = "type = tcp\nplugin = socks5\nplugin_user = u\nplugin_passwd = p\n"
        unwanted = {"OpenSSL": "no TLS", "tunnelsvc.gateway": "no HTTP"}
        for module, old, new in ("unixsocket", "local_port = 80\n", unix), ("socks5", web, socks):
            content = CLIENT_FILE.format(tls="false").replace(old, new)
            names = self.modules("client", content)
            self.assertIn(f"tunnelsvc.client.plugins.{module}", names)
            self.check(names, NOBODY | unwanted)

    def test_client(self) -> None:
        for tls in ("true", "false"):
            names = self.modules("client", CLIENT_FILE.format(tls=tls))
            self.check(names, NOBODY | NOT_THE_CLIENT)
        self.check(names, WITHOUT_TLS)

    def test_logged_in(self) -> None:
        for tls in ("true", "false"):
            names = self.modules("client", CLIENT_FILE.format(tls=tls), ENCRYPT)
            self.assertIn("Crypto.Cipher.AES", names)
            self.check(names, NOT_TO_LOG_IN)
