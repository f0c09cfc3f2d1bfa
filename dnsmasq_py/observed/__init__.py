"""
What is seen of the traffic: for operators, who ask what went on; imports nothing.

records    one transaction, as the ring holds it (kubedns/plainring.py, _ring.c)
recorder   the last ones, and those around the last burst (burst): noted by answering and express,
           hits by receivers themselves
topmost    who or what comes most often, in fixed memory
walks      questions that were only steps of a search list
tally      both, over the last ten to twenty minutes
retries    clients that ask the same again after five seconds
signs      what of it means something: findings, with what to do
watch      looks at what is new, a few times a second
pages      /top, /recorder, /findings       pcap     transactions for Wireshark
series     for Prometheus                   merging  the pages of several workers
"""
