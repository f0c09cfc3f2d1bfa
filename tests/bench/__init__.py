"""
The benchmarks: our programs beside a C echo and their peers, in one run on one machine.

``python -m tests.bench`` prints a table.  A walk through the files:

machine     which cores, what they are
process     a server under test: its CPU time, its memory
memory      the memory of several processes together
systems     how each system under test is built and started
question    one DNS question and what its answer holds
dnsperf     a load and what came back; over TCP it is that of ``tcp_load.c``
compare     one load, several systems, round by round
objects     the services and slices of a cluster of a given size
cluster     a real API server that holds them
figures     a measured figure, its goal, the table and the JSON
plan        what is measured, in which order

and a file for each group of figures of kubedns: ``query_cost``, ``scale``, ``updates``,
``recovery``, ``startup``; of the pod: ``pod_memory``; and of the forwarder: ``forwarder_cost``,
``forwarder_memory``, ``weather``.  Beside these:

forwarder_systems   ours, dnsmasq, CoreDNS and unbound with the same upstreams
forwarder_plan      their groups, and the order of what is measured
upstream            the upstreams as processes: ``upstream.c`` and ``stub_upstream``
stub_upstream       upstreams that lose, delay, fail and freeze as a script says
open_loop           a load that no stall can slow down, question by question
"""
