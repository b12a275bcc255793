"""Tests of HTTP/2 for users."""
