"""Byte streams as the network delivers them: cut anywhere."""

from itertools import pairwise

from hypothesis import strategies as st


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into pieces, none of them empty."""
    inner = draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=20))
    places = sorted({0, len(data), *(place for place in inner if place < len(data))})
    return [data[begin:end] for begin, end in pairwise(places)]
