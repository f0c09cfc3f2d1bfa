"""
Why a name of the cluster has the answer that it has.

border     how much a sentence may tell       spelling   types and RDATA as text
form       what a name asks for               near       names that were perhaps meant
facts      what sentences are made of         wording    short sentences of short parts
why        a result becomes a sentence        missing, below, lacking   the sentences
sentences  what the responder asks for        account    all of it, as the JSON of /explain
pods       who has an address, asked late     reasons    what keeps a pod from being ready
pages      /explain and /pods on the loopback port

Nothing here runs for a question that is answered by a receiver: a sentence is made with the answer
and kept with it, for as long as the negative TTL.
"""
