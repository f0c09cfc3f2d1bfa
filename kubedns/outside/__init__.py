"""
What the zone cannot answer, asked of others: ExternalName targets, foreign and reverse names.

resolver          Outside, where a question comes in: its chain of CNAMEs, from route to route
routing           name → servers: the longest stub domain, else the upstream nameservers
addresses, hosts  stub servers that are given by host name
sharing           equal questions in flight are asked once
exchange, query   one question in flight, without IO; dial: the sockets for it
trust             what of a reply is kept

Nothing is cached: whoever asks often has a cache, the pod's forwarder before all.
"""
