"""
Sockets in front of the zone.

receiver   UDP: a thread for each socket, which answers what is ready by itself
stream     TCP: pipelined queries, limits (RFC 7766)
responder  the decisions for everything else: octets in, octets out
counters   plain integers      http     how pages are served
"""
