"""Counters and their text formats."""
