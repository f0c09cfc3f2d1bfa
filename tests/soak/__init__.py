"""
The soak: everything that may happen to a pod, at random, for as long as wanted.

    kinds.py       what may happen, and what the failure table allows while it does
    plan.py        when what happens, drawn with a seed
    questions.py   questions and answers, as octets and as values
    history.py     what was true when; model.py: every answer held against it
    trend.py       what a process takes at calm times, and whether it grows
    pace.py        how much is asked on a busy machine; busy.py: whether it is one
    summary.py     the tables at the end

    asking.py      a process that asks all the time (overtcp.py: a part of it over TCP);
                   asker.py: how it is led, and what it brings; once.py: one question aside
    outside.py     a process that plays the servers outside; abroad.py: how it is led
    contents.py    what is in the cluster, and the answers that follow; cluster.py: its objects,
                   and how they change; changing.py: all the time
    acts.py        what happens, by name; acts_*.py: one function each; floods.py: too much
    scene.py       all of that together; running.py: the plan carried out, and what came of it

``python -m tests.soak [--minutes 20] [--seed 0]``.  Most processes and what stands between them
are those of the failure table, tests/faults.
"""
