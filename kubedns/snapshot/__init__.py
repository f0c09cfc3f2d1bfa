"""
What is served outlives the process: a restarted kubedns answers before it has read any list.

contents   the zone as octets, and back      saving   the file: read at the start, written on change
"""
