"""
Sockets in front of the zone.

receiver   UDP: a thread for each socket, which answers what is ready by itself
listeners  which addresses have sockets; looks again when the machine's addresses change
stream     TCP: pipelined queries (RFC 7766)      connections  what of it clients may cost
responder  the decisions for everything else: octets in, octets out (answered)
counters   plain integers      http     how pages are served
"""
