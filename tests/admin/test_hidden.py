# -*- test-case-name: tests.admin.test_hidden -*-
"""Tests of `tunnelsvc.admin.hidden`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.hidden import Hider
from tunnelsvc.errors import ConfigError

INI = """\
; token = s3cret-0
[common]
server_addr = vps
token = s3cret-1
admin_pwd=s3cret-2
meta_key = s3cret-3
http_proxy = http://u:s3cret-4@proxy
user =

[web]
type = http
http_user = alice
http_pwd = s3cret-5 with spaces
sk = s3cret-6
header_Authorization = s3cret-7
locations = /a,/b
"""
TOML = """\
serverAddr = "vps"
auth.token = "s3cret-1"
webServer = { port = 7400, password = "s3cret-2" }
[auth]
method = "token"
token = '''
s3cret-3
'''
[[proxies]]
name = "web"
httpPassword = "s3cret-4"
loadBalancer.groupKey = 's3cret-5'
requestHeaders.set.X-Key = "s3cret-6"
[proxies.metadatas]
anything = "s3cret-7"
[[visitors]]
secretKey = "s3cret-8"
transport.proxyURL = "socks5://u:s3cret-9@x"
bindPort = 9000
"""
YAML = """\
serverAddr: vps
auth:
  token: s3cret-1
metadatas:
  one: s3cret-2
  two: s3cret-3
log:
  level: info
proxies:
- name: web
  secretKey: "s3cret-4"
  metadatas: {one: s3cret-5}
  localPort: 80
  groupKey: |
    s3cret-6
  remotePort: 81
"""
JSON = """\
{
  "serverAddr": "vps",
  "auth": {"token": "s3cret-1"},
  "metadatas": {
    "one": "s3cret-2"
  },
  "log": {"level": "info"},
  "proxies": [{"name": "web", "httpPassword": "s3cret-3", "localPort": 80}]
}
"""
SHOWN = {
    INI: ("server_addr = vps", "http_user = alice", "locations = /a,/b", "[web]", "user ="),
    TOML: ('serverAddr = "vps"', 'method = "token"', 'name = "web"', "bindPort = 9000"),
    YAML: ("serverAddr: vps", "  level: info", "- name: web", "  localPort: 80", "remotePort: 81"),
    JSON: ('"serverAddr": "vps"', '"log": {"level": "info"}'),
}


class HiderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hider = Hider()

    def test_all_formats(self) -> None:
        for text, shown in SHOWN.items():
            hidden = self.hider.hide(text)
            self.assertNotIn("s3cret", hidden)
            for line in shown:
                self.assertIn(line, hidden)
            self.assertEqual(self.hider.put_back(hidden, text), text)

    def test_moved(self) -> None:
        """A mark stands for its secret wherever it is."""
        hidden = self.hider.hide("token = a\nsk = b\n")
        first, second = hidden.splitlines()
        back = self.hider.put_back(f"{second}\n[x]\n{first}\n", "sk = b\ntoken = a\n")
        self.assertEqual(back, "sk = b\n[x]\ntoken = a\n")

    def test_not_where_it_would_be_shown(self) -> None:
        """Who may not see a secret may not have it put where it isn't hidden."""
        hidden = self.hider.hide(INI)
        mark = hidden.partition("\ntoken = ")[2].partition("\n")[0]
        for line in (
            f"[{mark}]", f"local_ip = {mark}", f"; {mark}", f"x {mark}", f"token = {mark}\x0b{mark}"
        ):  # fmt: skip
            why = self.assertRaises(ConfigError, self.hider.put_back, f"{hidden}{line}\n", INI)
            self.assertNotIn("s3cret", str(why))

    def test_given_anew(self) -> None:
        hidden = self.hider.hide("token = a\nsk = b\n")
        new = "token = c\n" + hidden.splitlines()[1]
        self.assertEqual(self.hider.put_back(new, "token = a\nsk = b\n"), "token = c\nsk = b")

    def test_not_there_any_more(self) -> None:
        hidden = self.hider.hide("token = a\n")
        self.assertRaises(ConfigError, self.hider.put_back, hidden, "token = b\n")

    def test_marks_tell_nothing(self) -> None:
        """Not even to who guesses."""
        self.assertNotEqual(self.hider.hide("token = a"), Hider().hide("token = a"))

    @settings(derandomize=True, deadline=None, max_examples=1000)
    @given(
        st.lists(
            st.sampled_from(
                ["token", " = ", ": ", "a", '"""', "'''", '"', "\n", "\r\n", "  ", "{", "}", "|",
                 "[metadatas]", "[x]", "sk", "#", "\u2028", "\x0b", "passwordX", "é"]
            )
        ).map("".join)
    )  # fmt: skip
    def test_there_and_back(self, text: str) -> None:
        self.assertEqual(self.hider.put_back(self.hider.hide(text), text), text)
