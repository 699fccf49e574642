"""From a view to HTML: templates, files that go with them, and headers."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pylantir.api.problems import request_id_of
from pylantir.api.services import Services
from pylantir.errors import SignInFailed
from pylantir.web.session import FORM, Visitor, keep_form, keep_session
from pylantir.web.words import Languages

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing of any other host, and no script or style inside a page."""

STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
THEMES = ("dark", "light")


@cache
def static_file(name: str) -> bytes:
    """A file that goes with the templates."""
    return files("pylantir.web").joinpath("static", name).read_bytes()


@cache
def _static_url(name: str) -> str:
    digest = hashlib.sha256(static_file(name)).hexdigest()[:12]
    return f"/page/static/{name}?v={digest}"


class Renderer:
    """Fills templates.

    Parameters
    ----------
    services : Services
        Parts of the house, for the clock and the settings.
    languages : Languages
        What the page says, and to whom in which language.
    """

    def __init__(self, services: Services, languages: Languages) -> None:
        self._services = services
        self._languages = languages
        self._environment = Environment(
            loader=PackageLoader("pylantir.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "person": person,
            "clock": clock,
            "minutes": whole_minutes,
            "wall": self.wall,
        }
        self._environment.globals |= {
            "static": _static_url,
            "site": services.config.site or "",
            "settings": services.config.page,
        }

    def __call__(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        status: int = 200,
        /,
        **values: Any,
    ) -> HTMLResponse:
        """A page."""
        is_wall = "kiosk" in request.query_params
        theme = request.cookies.get("pylantir_theme", "")
        if theme not in THEMES:  # the room decides for a wall display, not its computer's settings
            theme = "dark" if is_wall else ""
        words = self._languages.for_browser(request.headers.get("accept-language", ""))
        now = self._services.clock.local_now().replace(tzinfo=None)
        body = self._environment.get_template(template).render(
            _=words,
            visitor=visitor,
            now=now,
            theme=theme,
            kiosk=is_wall,
            language=words.language,
            path=request.url.path,
            request_id=request_id_of(request),
            **values,
        )
        headers = {"Content-Security-Policy": POLICY, "Content-Language": words.language}
        response = HTMLResponse(body, status, headers)
        if FORM not in request.cookies:
            keep_form(response, self._services, visitor)
        if visitor.token and visitor.token == visitor.session:
            self._renew(response, visitor)
        return response

    def _renew(self, response: HTMLResponse, visitor: Visitor) -> None:
        """Whoever has the page open stays signed in, for as long as a session may last."""
        try:
            issued = self._services.sign_in.refresh(visitor.token)
        except SignInFailed:
            return  # it ends when the present token does
        keep_session(response, self._services, issued.text, issued.expires_in_s)

    def wall(self, instant: str | dt.datetime | None) -> dt.datetime | None:
        """The wall-clock time of the site at an instant, which may be ISO 8601; naive is wall."""
        if not instant:
            return None
        moment = dt.datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        return moment if moment.tzinfo is None else self._services.clock.wall_of(moment)


def renderer_of(request: Request) -> Renderer:
    """The renderer of the page that answers a request."""
    renderer = request.app.state.renderer
    assert isinstance(renderer, Renderer)
    return renderer


def person(name: str) -> str:
    """A person name as people read it: ``Yamada, Tarou (山田 太郎)`` (PS3.5 6.2.1)."""
    groups = [_group(group) for group in name.split("=")]
    first, *others = groups if groups[0] else [*groups[1:], ""]
    shown = [other for other in others[:1] if other]
    return f"{first} ({shown[0].replace(', ', ' ')})" if shown else first


def _group(group: str) -> str:
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    rest = " ".join(part for part in (prefix, given, middle, suffix) if part)
    return ", ".join(part for part in (family, rest) if part)


def clock(moment: dt.datetime | dt.time | None) -> str:
    """Hours and minutes."""
    return f"{moment:%H:%M}" if moment is not None else ""


def whole_minutes(duration: dt.timedelta) -> int:
    """A duration in whole minutes."""
    return round(duration.total_seconds() / 60)
