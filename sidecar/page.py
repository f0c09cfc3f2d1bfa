"""The status page: State and the time in, HTML out. Its looks stand in templates/."""

import base64
import hashlib

import jinja2
from markupsafe import Markup

from sidecar.state import State
from sidecar.view.whole import Whole, whole

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("sidecar"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _asset(name: str) -> Markup:
    """Return a file of ours that is put into the page as it is."""
    assert _TEMPLATES.loader is not None
    return Markup(_TEMPLATES.loader.get_source(_TEMPLATES, name)[0].strip())


# Made here, not when the first page is asked for: the compiler's memory is used again by what is
# imported next, 2 MB less in the end.
_PAGE = _TEMPLATES.get_template("page.html")
_LIVE = _TEMPLATES.get_template("live.html")

_STYLE = _asset("page.css")
_SCRIPT = _asset("page.js")


def _hash(text: str) -> str:
    """Name an inline element as a Content-Security-Policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# The header to send with the page and with its fragment: nothing but what stands in it.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


# Changes with every change of the looks: an open page of another build is loaded as a whole.
_BUILD = hashlib.sha256((_STYLE + _SCRIPT + _asset("live.html")).encode()).hexdigest()[:12]


def render(state: State, now: float) -> str:
    """Return the whole page; now: seconds since the epoch."""
    shown = whole(state, now)
    return _PAGE.render(
        title=_title(shown), live=Markup(_live(shown)), style=_STYLE, script=_SCRIPT
    )


def fragment(state: State, now: float) -> str:
    """Return the part that changes, to be put into a page that is open."""
    return _live(whole(state, now))


def _live(shown: Whole) -> str:
    return _LIVE.render(page=shown, title=_title(shown), build=_BUILD)


def _title(shown: Whole) -> str:
    well = "not well" if shown.reasons else "well"
    return f"{shown.mark.sign} {well}: kube-dns"
