"""
The caching forwarder that every pod of a cluster asks; imports nothing.

__main__   argv -> options -> service -> reactor
options    the command line: nannyflags, then dnsmasq's (optiontable, getopt, dnsmasqoptions)
sources    the ConfigMap's folder (extensions) and resolv.conf; hostfiles, stubhosts
service    the wiring, and the only file that knows every part
workers/   several processes on one port

What a query meets
listen     sockets; threads that answer what is ready       answering  replies, counted and logged
readers    which thread reads, while misses come thick      departures what a turn sends
express    the short way of the ordinary miss
forwarder  the order of things                              local      names known here; special
cache      answers by question; stored: one of them         failures   what failed a moment ago
routing    name -> servers                                  flights    what is being asked already
resolution one question, along its chain of CNAMEs          scrub      what a reply really says
keeping    what is stored, and for how long

What outlives the process
warmstart  what is asked for most: hotfile (hotness, hotlist, hotanswers), asked again by warmup

What changes in the cluster
feed       kubedns tells, by wire/notify    purge      what that drops    nameindex  where it stands

How servers are asked
upstreams  which, by what is known of each (upstream)       exchange   one question, without IO
agenda     when to look again                               dial       sockets: datagrams, streams
probes     loops, and of which make the cluster's server is

What operators see
chaos      statistics as dnsmasq gives them                 metrics    for Prometheus
pages      /status, /healthz                                querylog   lines as dnsmasq writes them
explain/   what becomes of a question, and why          sentences  what clients are told: RFC 8914
observed/  who asked what: /top, /recorder, /findings
"""
