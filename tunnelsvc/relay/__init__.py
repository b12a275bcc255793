"""Two byte streams, joined. Knows nothing of frp."""
