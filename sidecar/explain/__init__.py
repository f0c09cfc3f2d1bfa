"""
Why does a name not resolve? imports nothing.

__main__    the console script kubedns-explain          cli      what it prints

What is asked
request     a query string -> Asked                     resolv   whose resolv.conf, what is cut
walk        the search list, as glibc and as musl go through it: questions out, replies in

Who is asked                                              `io`
inquiry     walks them, and asks the other two processes about each question
heard       a reply, or what stands for it

What is found
shapes      Explanation, Seen and their parts: what the page and the JSON are made of
seen        /top, /findings and /recorder of the forwarder -> Seen
facts       what the verdict goes by                    verdict  one sentence; hints: what to do
written     Explanation, Seen -> JSON and text

The pages stand above it: sidecar.operators serves them, sidecar.door decides to whom.

For the page (sidecar.page) all is values, made before it is called:
- State.seen: shapes.Seen | None, the top lists, findings and the last burst; on the operators' side
  it is at most two seconds old whenever `page.render(state, now, operator=True)` or
  `page.fragment(state, now, operator=True)` is called; without operator=True it must not be shown.
- /explain?format=html is what `page.explained(form, found, problem, now, part=...)` returns:
    form: Mapping[str, str], the query string as it came; found: shapes.Explanation | None, None if
    nothing was asked for yet or it was not understood, and `problem` then says why, in one line;
    part: True for /explain?format=html&part=1, the fragment; False: a whole page with the form.
"""
