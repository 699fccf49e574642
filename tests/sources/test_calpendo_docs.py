"""docs/calpendo.md names every setting with its default and meaning, and its example works."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

from tests.sources.calpendo_site import TODAY, calpendo_site
from tests.standins.calpendo_samples import live_day

from pylantir.sources.calpendo_settings import CalpendoSettings

TEXT = (Path(__file__).parents[2] / "docs" / "calpendo.md").read_text(encoding="utf-8")
EXAMPLE = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    rows = []
    for name, field in CalpendoSettings.model_fields.items():
        default = f"`{field.default}`" if field.default not in (None, {}) else "none"
        shown = "required" if field.is_required() else default
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    assert TEXT.rstrip().endswith("\n".join(rows))


def test_the_example_gives_the_day_of_the_stand_in(tmp_path: Path) -> None:
    with calpendo_site(tmp_path) as site:
        own = {"base_url", "timezone"}
        site.config = {k: v for k, v in EXAMPLE["config"].items() if k not in own}
        site.mapping = EXAMPLE["field_mapping"]
        day = live_day(site.server)
        for _ in range(3):
            next(day)
        site.sync()
        found = {i.patient_id: (str(i.patient_name), i.start) for i in site.items().values()}
        assert found["SUB001"] == ("Doe^John", dt.datetime.combine(TODAY, dt.time(9)))
        assert found["SUB002"][0] == "García^Zoë"
        (item, *_) = site.items().values()
        assert item.modality == "MR"
        assert item.scheduled_station_ae_title == ("MR3T",)
        for _ in range(3):
            next(day)
        site.sync()
        assert site.scheduled() == ["SUB001", "SUB003"]
        for _ in range(4):
            next(day)
        site.sync()
        assert site.scheduled() == []
