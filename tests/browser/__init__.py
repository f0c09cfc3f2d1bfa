"""
The status page in a real Chromium.

states      states of the sidecar, also for the tests without a browser; documents: /status in them
serving     the sidecar's own pages over a state that the test holds
chromium    the browser: what it asked for, what it complained of, how it looks
"""
