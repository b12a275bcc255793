"""The public side: accepts clients and users."""
