"""Messages framed on a TCP connection, whatever the framing: what `endpoints.mllp` and `endpoints.tcp` share."""
