"""Names for sizes in bytes and times in seconds."""

KiB = 1024
MiB = 1024 * KiB

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
