"""The conversation: login, heartbeat, takeover, retry."""
