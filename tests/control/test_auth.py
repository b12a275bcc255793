# -*- test-case-name: tests.control.test_auth -*-
"""Tests of `tunnelsvc.control.auth`."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.wire.messages import Login, NewWorkConn, Ping


def auth(token: str = "12345678", *, scopes: bool = False) -> TokenAuth:
    return TokenAuth(
        token=token, heartbeats=scopes, new_work_conns=scopes, now=lambda: 1600000000.9
    )


class TokenTests(SynchronousTestCase):
    """Signing on one side, checking on the other."""

    def test_vector(self) -> None:
        """Protocol notes 3.3."""
        login = auth().sign_login(Login(user="me"))
        self.assertEqual(login.timestamp, 1600000000)
        self.assertEqual(login.privilege_key, "691857fb13aa516a008603a8932ea831")
        self.assertEqual(login.user, "me")

    def test_login(self) -> None:
        login = auth().sign_login(Login())
        self.assertEqual(auth().login_error(login), "")
        self.assertEqual(
            auth("other").login_error(login),
            "token in login doesn't match token from configuration",
        )
        self.assertTrue(auth().login_error(evolve(login, timestamp=1)))
        self.assertTrue(auth().login_error(Login()))

    def test_empty_token_is_hashed_all_the_same(self) -> None:
        login = auth("").sign_login(Login())
        self.assertEqual(auth("").login_error(login), "")
        self.assertTrue(auth("").login_error(Login()))

    def test_scopes_off(self) -> None:
        self.assertEqual(auth().ping(), Ping())
        self.assertEqual(auth().new_work_conn("r"), NewWorkConn(run_id="r"))
        self.assertEqual(auth().ping_error(Ping(privilege_key="nonsense")), "")
        self.assertEqual(auth().new_work_conn_error(NewWorkConn()), "")

    def test_scopes_on(self) -> None:
        signer, other = auth(scopes=True), auth("other", scopes=True)
        self.assertEqual(signer.ping_error(signer.ping()), "")
        self.assertEqual(signer.new_work_conn_error(signer.new_work_conn("r")), "")
        self.assertEqual(
            other.ping_error(signer.ping()),
            "token in heartbeat doesn't match token from configuration",
        )
        self.assertEqual(
            other.new_work_conn_error(signer.new_work_conn("r")),
            "token in NewWorkConn doesn't match token from configuration",
        )

    def test_token_is_not_shown(self) -> None:
        self.assertNotIn("12345678", repr(auth()))
