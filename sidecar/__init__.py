"""
Is the pod well, and how does one see that; imports nothing.

__main__    argv -> options -> service -> reactor
options     the command line; probe: --probe text -> Probe
service     the wiring, and the only file that knows every part

What is looked at                                         `io`: ask, hostnames, fetch
ask         one question to one server                    hostnames  servers given by name
asking      the rounds of a probe                         health     what they found, since when
neighbours  /status and /metrics of the other processes   fetch      one page of them
shapes      what their /status must look like
poll        the loop that reads the forwarder's counters  statistics what they mean, summed up
history     the same over time

What is shown
state       all that pages and metrics read               verdict    is the pod well, is it ready
app         the pages, with Flask; wsgi: behind Twisted   report     their JSON
page        the status page; view: what stands in it      metrics    every series, name, help text

What is for operators
explain     why does a name not resolve; kubedns-explain  operators  its pages, /top, /recorder
door        who gets which pages, on each listener        access     who is an operator, how often
relay       a large page, passed on as it comes           replies    what each reply carries
"""
