"""Counters of what the server does, and how monitoring reads them. No I/O, no Twisted."""
