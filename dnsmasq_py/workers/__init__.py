"""
Several forwarders on one port (--workers), with one face; imports nothing.

The process that was started is the parent: it forks the workers and starts them again when they
end, and answers nothing itself. Each worker is a whole forwarder with a cache of its own; the
kernel deals clients out among them (SO_REUSEPORT). Number 0 leads: it says what all would say.

supervisor   the parent: forks, signals    child      a worker as the parent has it
hub          what passes between workers   messages   how that is spelled
worker       one of them, linked           link       its way to the parent
forwarding   queries that concern all      asking     what all of them know
own          what one tells of itself      sums       one answer out of those of all
allpages     the pages of all              explained  /explain out of those of all
place        what a worker is born with    shares     limits, by worker
"""
