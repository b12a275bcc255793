"""Dashboard and HTTP APIs."""
