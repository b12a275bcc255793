"""Sans-I/O codecs: bytes in, values out. No Twisted, no sockets."""
