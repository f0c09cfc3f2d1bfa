"""
The failure table: what happens to the answers while something is broken.

    load.py        a process that asks all the time, and notes what became of each question;
                   loading.py: how it is started and ended
    truth.py       what the cluster is at any time; judge.py: an answer compared with it
    gate.py        the way to the API server: away, slow, refusing; tap.py: between the two of a pod
    balancer.py    one address for two pods, as kube-proxy makes it
    world.py       the objects of the cluster, and how they change, store.py: many at once;
                   part.py, pods.py, peers.py: the processes
    stage.py       all of that for one row, and the load; rows_*.py: the rows;
                   weather.py: what is between the pods and the servers outside
    machine.py     how much of it others take
    promises.py    what must hold of ours; table.py: what is shown

pytest runs each row shortly, with ours alone; ``python -m tests.faults`` all of them at length,
side by side with dnsmasq in front of kubedns, and with CoreDNS.
"""
