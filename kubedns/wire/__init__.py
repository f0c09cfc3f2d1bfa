"""
How DNS is spelled: octets in, values out, standard library only.

name      domain names in wire form: read, fold, escape (RFC 1035 3.1, 4.1.4)
rr        type numbers, RRset, the RDATA that we write ourselves
question  one query taken apart, and every reason to refuse it
reply     a reply put together: compression, size limits, rotation, EDNS
"""
