"""The hidden side: dials the server and the local services."""
