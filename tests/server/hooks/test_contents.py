# -*- test-case-name: tests.server.hooks.test_contents -*-
"""Tests of `tunnelsvc.server.hooks.contents`."""

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.server.hooks.contents import (
    Answer,
    UserInfo,
    about,
    question,
    read_answer,
    replaced,
)
from tunnelsvc.wire.messages import Login, NewProxy

LOGIN = Login(
    version="0.70.1",
    user="alice",
    privilege_key="k",
    timestamp=5,
    metas={"token": "t"},
    pool_count=1,
    tunnelsvc="1.0",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


class QuestionTests(SynchronousTestCase):
    """What a plugin gets."""

    def test_login(self) -> None:
        """All of frp's fields, under its names, and none of ours."""
        body = json.loads(question("Login", {"client_address": "192.0.2.1:5"}, LOGIN))
        content = body.pop("content")
        self.assertEqual(body, {"version": "0.1.0", "op": "Login"})
        self.assertEqual(
            content,
            {
                "version": "0.70.1",
                "hostname": "",
                "os": "",
                "arch": "",
                "user": "alice",
                "privilege_key": "k",
                "timestamp": 5,
                "run_id": "",
                "metas": {"token": "t"},
                "client_id": "",
                "pool_count": 1,
                "client_address": "192.0.2.1:5",
            },
        )

    def test_about(self) -> None:
        user = UserInfo.of(Login(user="alice", metas={"a": "b"}, run_id="r", client_id="box"))
        request = NewProxy(proxy_name="p", custom_domains=("a.example",), sk="s")
        content = json.loads(question("NewProxy", about(user), request))["content"]
        self.assertEqual(
            content["user"],
            {"user": "alice", "metas": {"a": "b"}, "run_id": "r", "client_id": "box"},
        )
        self.assertNotIn("one_user_per_work_conn", content, "ours")
        self.assertEqual(content["custom_domains"], ["a.example"])
        self.assertEqual((content["sk"], content["locations"]), ("s", []))

    def test_no_secret_is_shown(self) -> None:
        shown = repr(UserInfo(metas={"token": "s3cret"})) + repr(
            Answer(False, "", False, {"privilege_key": "s3cret"})
        )
        self.assertNotIn("s3cret", shown)


class AnswerTests(SynchronousTestCase):
    """What a plugin says."""

    def test_answers(self) -> None:
        for body, answer in {
            b'{"reject":true,"reject_reason":"no"}': Answer(True, "no", False, None),
            b'{"unchange":true}': Answer(False, "", True, None),
            b'{"Unchange":true,"REJECT":false}': Answer(False, "", True, None),
            b'{"content":{"user":"x"}}': Answer(False, "", False, {"user": "x"}),
            b'{"Content":{}}': Answer(False, "", False, {}),
            b'{"content":null,"other":1}': Answer(False, "", False, None),
            b"{}": Answer(False, "", False, None),
            b"null": Answer(False, "", False, None),
        }.items():
            self.assertEqual(read_answer(body), answer)

    def test_nonsense(self) -> None:
        for body in (
            b"", b"[]", b"1", b"<html>", b"\xff", b'{"reject":"true"}', b'{"unchange":1}',
            b'{"content":[]}', b'{"content":"x"}', b"[" * 100_000,
        ):  # fmt: skip
            self.assertRaises(RemoteProtocolError, read_answer, body)

    @given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
    def test_anything(self, body: bytes) -> None:
        with contextlib.suppress(RemoteProtocolError):
            self.assertIsInstance(read_answer(body), Answer)


class ReplacedTests(SynchronousTestCase):
    """A content in the place of a message."""

    def test_login(self) -> None:
        """What was decided already stays, and so does what is ours."""
        new = replaced(LOGIN, {"user": "bob", "privilege_key": "", "client_address": "x"})
        self.assertEqual(new, Login(user="bob", privilege_key="k", timestamp=5, tunnelsvc="1.0"))

    def test_an_echo_changes_nothing(self) -> None:
        content = json.loads(question("Login", {}, LOGIN))["content"]
        self.assertEqual(replaced(LOGIN, content), LOGIN)
        request = NewProxy(
            proxy_name="p",
            custom_domains=("a", "b"),
            headers={"x": "y"},
            one_user_per_work_conn=True,
        )
        content = json.loads(question("NewProxy", about(UserInfo()), request))["content"]
        self.assertEqual(replaced(request, content), request)

    def test_wrong_types(self) -> None:
        for content in ({"remote_port": "6000"}, {"custom_domains": "a"}, {"metas": {"a": 1}}):
            self.assertRaises(RemoteProtocolError, replaced, NewProxy(), content)

    @given(st.dictionaries(st.sampled_from(["user", "metas", "pool_count", "x"]), JSON))
    def test_any_content(self, content: dict[str, Any]) -> None:
        with contextlib.suppress(RemoteProtocolError):
            self.assertEqual(replaced(LOGIN, content).tunnelsvc, "1.0")
