"""
Changes of the zone are told to the caches in front.

session   one listener: what is said to it next, and what is said again    waiting   names gathered
teller    sends and receives for all sessions, by the sockets that answer
"""
