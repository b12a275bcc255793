"""Proxy types of the server."""
