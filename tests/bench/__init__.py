"""
The benchmarks: the pod beside its peers and a C echo, in one run on one machine.

``python -m tests.bench`` prints a table and the goals, and leaves JSON and charts in ``results/``;
``--help`` lists the groups of figures.  A walk through the files:

machine     which cores, what they are
process     a server under test: its CPU time; memory: what processes take of it
programs    where they are; systems: what each is given, and what it is while it runs (``echo.c``)
authorities our kubedns, and CoreDNS without cache
fronts      our pod, and dnsmasq, CoreDNS, unbound in its place
objects     the services and slices of a cluster of a given size
cluster     a real API server that holds them
bench       all of these, started when they are first asked for

question_files  what is asked; question: one question, and what its answer holds
dnsperf     a load and what came back; over TCP it is that of ``tcp_load.c``
compare     one load, several systems, round by round
figures     a measured figure beside its goal (goals), the table, the JSON
report      the page of a run, with a chart (charts) for each figure
plan        the groups, in the order in which they are measured

workloads   (a) to (g) and (k): what every system is asked alike, as a table
churn       (h)                             fresh       a change, seen through a warm cache
names       (i) cached names                scale       (i) clusters; updates: one changed endpoint
wide        (j)                             workers     two beside one
pod_memory, startup, recovery, weather      what is about the pod alone, and what may befall it
explain     a name explained by the sidecar     pairs       what a part of ours costs a hit

upstream    the upstreams as processes: ``upstream.c``, ``stub_upstream``; dot: one that speaks TLS
stub_upstream   upstreams that lose, delay, fail and freeze as a script says
open_loop       a load that no stall can slow down, question by question
"""
