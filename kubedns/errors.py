"""The root of every error that kubedns raises on purpose; its leaves live with who raises them."""


class KubednsError(Exception):
    """Something that kubedns can name: its text is one line that a person can act on."""
