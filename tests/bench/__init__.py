"""
The benchmarks: kubedns beside a C echo and CoreDNS, in one run on one machine.

``python -m tests.bench`` prints a table.  A walk through the files:

machine     which cores, what they are
process     a server under test: its CPU time, its memory
systems     how each system under test is built and started
question    one DNS question and what its answer holds
dnsperf     a load and what came back
objects     the services and slices of a cluster of a given size
cluster     a real API server that holds them
figures     a measured figure, its goal, the table and the JSON
plan        what is measured, in which order

and a file for each group of figures: ``query_cost``, ``scale``, ``updates``, ``recovery``,
``startup``.
"""
