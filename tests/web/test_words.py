"""The page in other languages: complete, filled rightly, and chosen by the browser or the site."""

from __future__ import annotations

import calendar
import html
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import Environment, PackageLoader, nodes
from tests.api.conftest import Api, MakeApi
from tests.web.conftest import Visit, text_of

from pylantir.users.roles import Role
from pylantir.web.rendering import clock, person, whole_minutes
from pylantir.web.words import SHIPPED, Languages, Words, shipped, words_of

_PLACE = re.compile(r"%\(\w+\)s|%s")


def templates() -> Iterator[nodes.Template]:
    environment = Environment(loader=PackageLoader("pylantir.web"))
    environment.filters |= {"person": person, "clock": clock, "minutes": whole_minutes, "wall": str}
    for file in files("pylantir.web").joinpath("templates").iterdir():
        yield environment.parse(file.read_text("utf-8"))


def said() -> set[str]:
    """Every sentence of the templates, and the names of days and months."""
    found = {*calendar.day_abbr, *calendar.month_abbr} - {""}
    for template in templates():
        for call in template.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                found |= {arg.value for arg in call.args if isinstance(arg, nodes.Const)}
    return found


def words_in(code: str) -> dict[str, str]:
    text = files("pylantir.web").joinpath("languages", f"{code}.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


@pytest.mark.parametrize("code", SHIPPED)
def test_every_sentence_has_its_translation_and_none_is_left_over(code: str) -> None:
    known = words_in(code)

    assert known.pop("_language") == code
    assert said() - known.keys() == set(), f"add them to web/languages/{code}.json"
    assert known.keys() - said() == set(), f"take them out of web/languages/{code}.json"
    assert [english for english, other in known.items() if not other.strip()] == []


@pytest.mark.parametrize("code", SHIPPED)
def test_a_translation_fills_in_what_the_sentence_does(code: str) -> None:
    wrong = {
        english: other
        for english, other in words_in(code).items()
        if sorted(_PLACE.findall(english)) != sorted(_PLACE.findall(other))
    }

    assert wrong == {}


@pytest.mark.parametrize(
    ("preferred", "code"),
    [
        ("de-CH,fr;q=0.9,en;q=0.8", "de"),
        ("fr", "fr"),
        ("es, fr-CA;q=0.7", "fr"),
        ("en-US,de;q=0.9", "en"),
        ("fr;q=0.3,de;q=0.9", "de"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("ja", "en"),
        ("", "en"),
        (";;,q=,de;q=x,", "en"),
        ("x," * 5000 + "de", "en"),
    ],
)
def test_the_browser_chooses_among_the_languages(preferred: str, code: str) -> None:
    assert Languages().for_browser(preferred).language == code


def test_the_site_chooses_for_everybody() -> None:
    assert Languages("fr").for_browser("de").language == "fr"
    assert Languages("en").for_browser("de").language == "en"


def test_a_sites_own_words_come_on_top_of_the_shipped_ones() -> None:
    found = Languages("auto", Words({"_language": "de", "Scans": "Messungen"})).for_browser("fr")

    assert found("Scans") == "Messungen"
    assert found("Sign out") == shipped("de")("Sign out") != "Sign out"


@pytest.mark.parametrize("code", SHIPPED)
@pytest.mark.parametrize("path", ["/page/", "/page/?kiosk", "/page/items/1", "/page/items/new"])
def test_a_page_speaks_the_language_of_the_browser(
    api: Api, visit: Visit, code: str, path: str
) -> None:
    api.book(scheduled_start_date=api.worklist.clock.today().isoformat())
    page = visit(Role.WRITE).get(path, headers={"Accept-Language": f"{code}-CH"})

    known = shipped(code)
    left = [word for word in ("Sign out", "Bookings", "Participant") if f">{word}<" in page.text]
    assert page.headers["Content-Language"] == code
    assert f'<html lang="{code}"' in page.text
    assert html.escape(known("Sign out")) in page.text
    assert [word for word in left if known(word) != word] == []


def test_a_name_in_a_sentence_is_escaped_once(api: Api, visit: Visit) -> None:
    name, day = "O'Brien^<Seán>", api.worklist.clock.today().isoformat()
    item = api.book(patient_name=name, scheduled_start_date=day, scheduled_start_time="23:59")
    visitor = visit(Role.WRITE)
    news = visitor.get("/page/").text.partition('id="news"')[2].partition("</p>")[0]
    heading = visitor.get(f"/page/items/{item.item_id}/edit").text

    assert "Next: O&#39;Brien, &lt;Seán&gt; at 23:59" in news
    assert "<h1>Correct O&#39;Brien, &lt;Seán&gt;</h1>" in heading


def test_the_page_speaks_the_words_of_the_site(
    make_api: MakeApi, visit: Visit, tmp_path: Path
) -> None:
    file = tmp_path / "es.json"
    file.write_text(json.dumps({"_language": "es", "Needs you": "Pendiente"}))
    site = make_api(page={"words": str(file)})

    page = visit(Role.READ, site).get("/page/")

    assert '<html lang="es"' in page.text
    assert "Pendiente" in page.text
    assert "Bookings" in text_of(page), "what is missing stays English"


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"Needs you": 7}'])
def test_a_file_of_words_that_is_none_is_left_out(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "words.json"
    file.write_text(content)

    assert words_of(str(file)) is None
    assert "page.words" in caplog.text


def test_a_slip_in_a_translation_takes_no_page_down() -> None:
    assert Words({"in %(m)s min": "dans %(minutes)s"})("in %(m)s min", m=5) == "in 5 min"
