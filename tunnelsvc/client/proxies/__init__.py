"""Proxy types of the client."""
