"""
Real resolvers ask through the pod, as programs in containers do.

place       two network namespaces, pod and client, and what the client finds in /etc
pod         kubedns and the forwarder with the arguments of the published manifest
outside     the name servers outside: good names, and names that fail in every way
capture     each query and reply between client and pod, as it was on the wire
resolvers   the resolvers: how each is built and started, what it can, how it names its errors
programs/   what runs in the client's namespace: a line in, a lookup, a line out
names       what is asked, and the one answer that all must give; differences, with the reason
table       who asked what, how many queries it took, in how many milliseconds
"""
