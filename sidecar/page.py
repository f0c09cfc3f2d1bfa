"""
The status page, and the page of an explanation: values and the time in, HTML out.

Their looks stand in templates/. What names clients, or what they ask for, is for operators only.
"""

import base64
import hashlib
import re
from collections.abc import Mapping

import jinja2
from markupsafe import Markup, escape

from sidecar.explain.shapes import Explanation
from sidecar.state import State
from sidecar.view import explained as views
from sidecar.view.box import Box, box
from sidecar.view.mark import Mark
from sidecar.view.told import plain
from sidecar.view.whole import Whole, whole

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("sidecar"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _dotted(name: str) -> Markup:
    """Let a name be broken after its dots rather than inside its labels."""
    return Markup("<wbr>").join(escape(each) for each in re.findall(r"[^.]*\.|[^.]+", name))


_TEMPLATES.filters["dotted"] = _dotted
_TEMPLATES.globals["warn"] = Mark.WARN


def _asset(name: str) -> Markup:
    """Return a file of ours that is put into the page as it is."""
    assert _TEMPLATES.loader is not None
    return Markup(_TEMPLATES.loader.get_source(_TEMPLATES, name)[0].strip())


# Made here, not when the first page is asked for: the compiler's memory is used again by what is
# imported next, 2 MB less in the end.
_PAGE = _TEMPLATES.get_template("page.html")
_LIVE = _TEMPLATES.get_template("live.html")
_BOX = _TEMPLATES.get_template("box.html")
_EXPLAINED = _TEMPLATES.get_template("explained.html")
_RESULT = _TEMPLATES.get_template("result.html")
_PROBLEM = _TEMPLATES.get_template("problem.html")

_STYLE = _asset("page.css")
_SCRIPT = _asset("page.js")


def _hash(text: str) -> str:
    """Name an inline element as a Content-Security-Policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(form_action: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
        f"connect-src 'self'; img-src data:; base-uri 'none'; form-action {form_action}; "
        "frame-ancestors 'none'"
    )


# The header to send with each page and fragment: nothing but what stands in it. Only operators have
# a form, which asks us.
CONTENT_SECURITY_POLICY = _policy("'none'")
OPERATORS_SECURITY_POLICY = _policy("'self'")


# Changes with every change of the looks: an open page of another build is loaded as a whole.
_BUILD = hashlib.sha256(
    "".join((_STYLE, _SCRIPT, *map(_asset, sorted(_TEMPLATES.list_templates())))).encode()
).hexdigest()[:12]


def render(state: State, now: float, *, operator: bool = False) -> str:
    """
    Return the whole page; now: seconds since the epoch.

    operator: with the explain box, and with the clients and names that are in State.seen.
    """
    shown = whole(state, now, operator=operator)
    return _PAGE.render(
        title=_title(shown),
        live=Markup(_live(shown, _form(box({}), script=True) if operator else "")),
        style=_STYLE,
        script=_SCRIPT,
        operator=operator,
    )


def fragment(state: State, now: float, *, operator: bool = False) -> str:
    """Return the part that changes, to be put into a page that is open."""
    return _live(whole(state, now, operator=operator), "")


def explained(
    form: Mapping[str, str],
    found: Explanation | None,
    problem: str,
    now: float,
    *,
    part: bool = False,
) -> str:
    """
    Return the page of an explanation, with the form to ask again.

    form: the query as it came. found: None: nothing was asked for yet, or problem tells in a line
    why there is none. part: only what is put into an open page.
    """
    asked = box(form)
    if found:
        shown = views.explained(found, now)
        result = Markup(_RESULT.render(of=shown, query=asked.query))
        title = f"{shown.mark.sign} {shown.asked}: kube-dns"
    else:
        shown = None
        result = Markup(_PROBLEM.render(problem=plain(problem, 600)) if problem or part else "")
        title = "Explain a name: kube-dns"
    if part:
        return result
    return _EXPLAINED.render(
        title=title,
        asked=shown.asked if shown else asked.name or "Nothing was asked",
        part=result,
        form=_form(asked, script=False),
        style=_STYLE,
    )


def _form(asked: Box, *, script: bool) -> Markup:
    """Return the explain box; script: its answer may be put below it."""
    return Markup(_BOX.render(box=asked, script=script))


def _live(shown: Whole, form: str) -> str:
    return _LIVE.render(page=shown, title=_title(shown), build=_BUILD, box=form)


def _title(shown: Whole) -> str:
    well = "not well" if shown.reasons else "well"
    return f"{shown.mark.sign} {well}: kube-dns"
