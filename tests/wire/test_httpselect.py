# -*- test-case-name: tests.wire.test_httpselect -*-
"""Tests of `tunnelsvc.wire.httpselect`."""

from collections.abc import Mapping
from http import HTTPStatus

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.httpselect import Selection, Version, accepts_gzip, select

STEADY = settings(derandomize=True, deadline=None)
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = b"Sun, 06 Nov 1994 08:49:36 GMT", b"Sun, 06 Nov 1994 08:49:38 GMT"
MODIFIED_NS = 784_111_777_500_000_000
FILE = Version(100, MODIFIED_NS)
PACKED = Version(100, MODIFIED_NS, encoded=True)
TAG = FILE.tag
WHOLE = Selection(HTTPStatus.OK, 0, 100)
NOT_MODIFIED = Selection(HTTPStatus.NOT_MODIFIED)
FAILED = Selection(HTTPStatus.PRECONDITION_FAILED)
UNSATISFIABLE = Selection(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


def part(start: int, end: int) -> Selection:
    return Selection(HTTPStatus.PARTIAL_CONTENT, start, end)


class SelectTests(SynchronousTestCase):
    def assertSelects(
        self, headers: Mapping[bytes, bytes], selection: Selection, version: Version = FILE
    ) -> None:
        """A GET with these headers gets that."""
        self.assertEqual(select(headers.get, version), selection, headers)

    def test_nothing_special(self) -> None:
        self.assertSelects({}, WHOLE)
        self.assertEqual(FILE.last_modified, DATE)

    def test_ranges(self) -> None:
        for wanted, selection in {
            b"bytes=0-0": part(0, 1),
            b"bytes=10-19": part(10, 20),
            b"Bytes = 10-": part(10, 100),
            b"bytes=90-1000": part(90, 100),
            b"bytes=-10": part(90, 100),
            b"bytes=-1000": part(0, 100),
            b"bytes=0-": part(0, 100),
            b"bytes=100-": UNSATISFIABLE,
            b"bytes=100-200": UNSATISFIABLE,
            b"bytes=-0": UNSATISFIABLE,
        }.items():
            self.assertSelects({b"range": wanted}, selection)

    def test_ranges_that_are_none(self) -> None:
        """They are as if they weren't there."""
        for wanted in (
            b"bytes=20-10",
            b"bytes=-",
            b"bytes=0-1,5-6",
            b"bytes=+1-2",
            b"bytes=1_0-20",
            b"lines=1-2",
            b"0-1",
            b"bytes=" + b"9" * 19 + b"-",
        ):
            self.assertSelects({b"range": wanted}, WHOLE)

    def test_range_of_nothing(self) -> None:
        self.assertSelects({b"range": b"bytes=0-"}, UNSATISFIABLE, Version(0, MODIFIED_NS))

    def test_only_get_has_ranges(self) -> None:
        headers = {b"range": b"bytes=0-0"}
        self.assertEqual(select(headers.get, FILE, ranges=False), WHOLE)

    def test_if_range(self) -> None:
        """A download is only resumed where it is still that of the same file."""
        for if_range, fits in {
            TAG: True,
            b'"other"': False,
            b"W/" + TAG: False,
            DATE: True,
            EARLIER: False,
            LATER: False,
            b"gibberish": False,
        }.items():
            headers = {b"range": b"bytes=10-", b"if-range": if_range}
            self.assertSelects(headers, part(10, 100) if fits else WHOLE)

    def test_if_range_of_what_was_compressed(self) -> None:
        for if_range in PACKED.tag, TAG, DATE:
            self.assertSelects({b"range": b"bytes=10-", b"if-range": if_range}, WHOLE, PACKED)

    def test_if_none_match(self) -> None:
        for tags in TAG, b"W/" + TAG, b'"a", ' + TAG, b'"a",' + TAG + b',"b"', b"*":
            self.assertSelects({b"if-none-match": tags}, NOT_MODIFIED)
            self.assertSelects({b"if-none-match": tags}, NOT_MODIFIED, PACKED)
        for tags in b'"a"', b"", TAG.strip(b'"'), b'"x' + TAG[1:]:
            self.assertSelects({b"if-none-match": tags}, WHOLE)

    def test_if_modified_since(self) -> None:
        for date, selection in {
            DATE: NOT_MODIFIED,
            LATER: NOT_MODIFIED,
            EARLIER: WHOLE,
            b"Sunday, 06-Nov-94 08:49:37 GMT": NOT_MODIFIED,
            b"Sun Nov  6 08:49:37 1994": NOT_MODIFIED,
            b"yesterday": WHOLE,
            b"\xff": WHOLE,
        }.items():
            self.assertSelects({b"if-modified-since": date}, selection)

    def test_a_tag_is_better_than_a_date(self) -> None:
        """What was changed twice in a second has another tag."""
        headers = {b"if-none-match": b'"other"', b"if-modified-since": DATE}
        self.assertSelects(headers, WHOLE)
        headers = {b"if-match": TAG, b"if-unmodified-since": EARLIER}
        self.assertSelects(headers, WHOLE)

    def test_preconditions(self) -> None:
        self.assertSelects({b"if-match": TAG}, WHOLE)
        self.assertSelects({b"if-match": b"*"}, WHOLE)
        self.assertSelects({b"if-match": b'"other"'}, FAILED)
        self.assertSelects({b"if-match": PACKED.tag}, FAILED, PACKED)
        self.assertSelects({b"if-unmodified-since": DATE}, WHOLE)
        self.assertSelects({b"if-unmodified-since": EARLIER}, FAILED)

    @STEADY
    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    b"range",
                    b"if-range",
                    b"if-match",
                    b"if-none-match",
                    b"if-modified-since",
                    b"if-unmodified-since",
                ]
            ),
            st.one_of(
                st.binary(max_size=80),
                st.from_regex(rb"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True),
                st.sampled_from([TAG, DATE, b"Sun, 06 Nov 0000 08:49:37 GMT"]),
                st.text(max_size=40).map(str.encode),
            ),
        ),
        st.integers(0, 300),
        st.booleans(),
    )
    def test_anything(self, headers: Mapping[bytes, bytes], size: int, encoded: bool) -> None:
        """Whatever a client says, it gets what there is, and never more."""
        selection = select(headers.get, Version(size, MODIFIED_NS, encoded))
        self.assertTrue(0 <= selection.start <= selection.end <= size)
        if selection.status is HTTPStatus.PARTIAL_CONTENT:
            self.assertLess(selection.start, selection.end)


class AcceptsGzipTests(SynchronousTestCase):
    def test_cases(self) -> None:
        for value, accepts in {
            b"gzip": True,
            b"deflate, gzip, br, zstd": True,
            b"GZIP;q=0.5": True,
            b"gzip; q=1.0": True,
            b"gzip;q=0": False,
            b"gzip; q=0.000": False,
            b"deflate": False,
            b"": False,
            b"xgzip": False,
        }.items():
            self.assertIs(accepts_gzip(value), accepts, value)
