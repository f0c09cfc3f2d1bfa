"""
The status page in a real Chromium.

states      states of the sidecar, also for the tests without a browser; documents: /status in them
explanations  what operators see besides: explanations, and what is seen of the traffic
markup      a page as text and elements, for tests without a browser
serving     the sidecar's own pages over a state that the test holds
chromium    the browser: what it asked for, what it complained of, how it looks
"""
