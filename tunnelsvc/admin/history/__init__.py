"""What the dashboard shows survives a restart: traffic, events and rules, in a SQLite database."""
