"""
What the forwarder would do with a question, and why: GET /explain; imports nothing.

rule     which rule takes a name, in one sentence      held     what is known of it: cache, failures
texts    records as people write them                  live     io: its servers asked directly, now
account  all of it as JSON, fit for one process or several

Nothing here is on the way of a query, and nothing that is asked here changes what clients get.
"""
