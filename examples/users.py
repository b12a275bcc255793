"""A server plugin: every user has a token of their own, and ports of their own.

    python examples/users.py PORT USERS_FILE

listens on that port of 127.0.0.1. The file is JSON, and read again for each question:

    {"alice": {"token": "a long one", "ports": [6000, 6001]}, "bob": {"token": "another"}}

The server's file then has

    [plugin.users]
    addr = 127.0.0.1:9000
    path = /handler
    ops = Login,NewProxy

and the client's, in [common], besides the token that all share

    user = alice
    meta_token = a long one

Who has no "ports" may have any. See docs/webhooks.md.
"""

import json
import sys
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Any

from twisted.internet import endpoints, reactor
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

YES = {"unchange": True}


def no(reason: str) -> Mapping[str, Any]:
    """Refuse; the client's user reads the reason."""
    return {"reject": True, "reject_reason": reason}


class Users(Resource):
    """Answers the server's questions."""

    isLeaf = True
    log = Logger()

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def render_POST(self, request: Request) -> bytes:
        """Answer. An error of ours becomes a status of 500, which counts as a no."""
        assert request.content is not None  # there is a body
        question = json.load(request.content)
        users = json.loads(self._path.read_text(encoding="utf-8"))
        decide = {"Login": self.login, "NewProxy": self.new_proxy}[question["op"]]
        answer = decide(users, question["content"])
        self.log.info("{op}: {answer}", op=question["op"], answer=answer)
        request.setHeader("Content-Type", "application/json")
        return json.dumps(answer).encode()

    def login(self, users: Mapping[str, Any], content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let a client in if its user has the token."""
        given = content.get("metas", {}).get("token", "")
        user = users.get(content.get("user", ""))
        if user is None or not compare_digest(user["token"].encode(), given.encode()):
            return no("no such user, or another token")
        return YES

    def new_proxy(self, users: Mapping[str, Any], content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let a user have only proxies with his name before theirs, on his ports."""
        name = content["user"]["user"]
        user = users.get(name)
        if user is None or not content["proxy_name"].startswith(f"{name}."):
            return no("this isn't yours")
        port = content.get("remote_port", 0)
        if (
            "ports" in user
            and content["proxy_type"] in {"tcp", "udp"}
            and port not in user["ports"]
        ):
            return no(f"port {port} isn't one of yours: {user['ports']}")
        return YES


def main(port: str, path: str) -> None:
    """Run until Ctrl-C."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    site = Resource()
    site.putChild(b"handler", Users(Path(path)))
    web = endpoints.serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")
    web.listen(Site(site, parsePOSTFormSubmission=False))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
