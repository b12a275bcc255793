"""One byte stream between client and server: endpoints and transports."""
