# -*- test-case-name: tests.wire.test_basicauth -*-
"""Tests of `tunnelsvc.wire.basicauth`."""

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.basicauth import admits, credentials, credentials_in

STEADY = settings(derandomize=True, deadline=None)


class BasicAuthTests(SynchronousTestCase):
    def test_either_is_enough(self) -> None:
        self.assertEqual(credentials("", ""), b"")
        self.assertEqual(credentials("alice", ""), b"alice:")
        self.assertEqual(credentials("", "s3cret"), b":s3cret")
        self.assertEqual(credentials("jürgen", "a:b"), "jürgen:a:b".encode())

    def test_forms(self) -> None:
        for header in (b"Basic YTpi", b"basic YTpi", b" BASIC   YTpi "):
            self.assertEqual(credentials_in(header), b"a:b", header)
        for header in (b"", b"Basic", b"YTpi", b"Bearer YTpi", b"Basic YTp", b"Basic !!!!"):
            self.assertEqual(credentials_in(header), b"", header)

    def test_admits(self) -> None:
        self.assertTrue(admits(b"", b""))
        self.assertTrue(admits(b"", b"a:b"))
        self.assertTrue(admits(b"a:b", b"a:b"))
        for given_ in (b"", b":", b"a:", b"a:b ", b"A:b", "a:ß".encode()):
            self.assertFalse(admits(b"a:b", given_), given_)

    @given(st.text(min_size=1), st.text())
    @STEADY
    def test_round_trip(self, user: str, password: str) -> None:
        wanted = credentials(user, password)
        self.assertEqual(credentials_in(b"Basic " + b64encode(wanted)), wanted)

    @given(st.binary(max_size=100))
    @STEADY
    def test_anything(self, header: bytes) -> None:
        """Whatever comes is no error, and nobody gets in by chance."""
        self.assertFalse(admits(b"a:s3cret", credentials_in(header)))
