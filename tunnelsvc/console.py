# -*- test-case-name: tests.test_console -*-
"""What is drawn for people at a terminal; plain ASCII, for any of them."""


def box(text: str) -> str:
    """Draw a frame around lines."""
    lines = text.splitlines() or [""]
    width = max(map(len, lines))
    edge = f"+{'-' * (width + 4)}+"
    return "\n".join([edge, *(f"|  {line:{width}}  |" for line in lines), edge])
