"""Templates leave no label behind, and names come apart as people write them."""

from __future__ import annotations

import pytest

from pylantir.sources.naming import Template, parse_name
from pylantir.worklist.values import person_name

PATIENT_ID = "sub_{study}_ses_{session}_fam_{family}_site_{site}"
PATIENT_NAME = "cpip-id-{study}^fa-{family}"


@pytest.mark.parametrize(
    ("template", "values", "made"),
    [
        (PATIENT_ID, "study=1 session=2 family=3 site=9", "sub_1_ses_2_fam_3_site_9"),
        (PATIENT_ID, "study=1 session=2 site=9", "sub_1_ses_2_site_9"),
        (PATIENT_ID, "study=1 session=2 family=3", "sub_1_ses_2_fam_3"),
        (PATIENT_ID, "session=2 site=9", "ses_2_site_9"),
        (PATIENT_ID, "site=9", "site_9"),
        (PATIENT_NAME, "study=1 family=3", "cpip-id-1^fa-3"),
        (PATIENT_NAME, "study=1", "cpip-id-1"),
        (PATIENT_NAME, "family=3", "^fa-3"),
        ("{last}^{first} {middle}", "last=Doe middle=M", "Doe^M"),
        ("{study} ({family})", "study=1", "1"),
        ("{study} ({family})", "study=1 family=2", "1 (2)"),
        ("{study} ({family}), {site}", "study=1 site=9", "1, 9"),
        ("{{{study}}}", "study=1", "{1}"),
        ("_{study}", "study=1", "_1"),
        (PATIENT_ID, "", ""),
    ],
)
def test_an_empty_part_is_left_out_together_with_its_label(
    template: str, values: str, made: str
) -> None:
    given = dict(pair.split("=") for pair in values.split())

    assert Template(template).fill(given) == made


def test_spaces_alone_are_an_empty_part() -> None:
    assert Template(PATIENT_NAME).fill({"study": "1", "family": "  "}) == "cpip-id-1"


@pytest.mark.parametrize("text", ["{study", "study}", "{}", "{0:>3}", "{study!r}", "{ }"])
def test_a_template_that_cannot_be_filled_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"brace|placeholder|'[{}]'"):
        Template(text)


@pytest.mark.parametrize(
    ("written", "first_last", "last_first"),
    [
        ("Jane Doe", "Doe^Jane", "Jane^Doe"),
        ("Jane Mary Doe", "Doe^Jane^Mary", "Jane^Mary^Doe"),
        ("Doe, Jane Mary", "Doe^Jane^Mary", "Doe^Jane^Mary"),
        ("van der Berg, Jan", "van der Berg^Jan", "van der Berg^Jan"),
        ("Jan van der Berg", "van der Berg^Jan", None),
        ("van der Berg Jan", None, "van der Berg^Jan"),
        ("Van Morrison", "Morrison^Van", None),
        ("John_Doe", "Doe^John", "John^Doe"),
        ("Dr. Emily Smith", "Smith^Emily^^Dr.", "Emily^Smith^^Dr."),
        ("Jane Doe, MD", "Doe^Jane^^^MD", "Jane^Doe^^^MD"),
        ("Doe", "Doe", "Doe"),
        ("Doe^Jane", "Doe^Jane", "Doe^Jane"),
        ("  ", "", ""),
        (",", "", ""),
    ],
)
def test_a_name_comes_apart_as_it_is_written(
    written: str, first_last: str | None, last_first: str | None
) -> None:
    for name_format, expected in (("first_last", first_last), ("last_first", last_first)):
        if expected is not None:
            assert parse_name(written, name_format) == expected
            assert person_name(expected) == expected


def test_a_name_stays_as_it_is_unless_somebody_says_how_it_is_written() -> None:
    assert parse_name("Jane Doe", "") == "Jane Doe"
    assert parse_name("Jane Doe", "as_is") == "Jane Doe"


def test_a_title_may_stand_in_the_given_name_as_earlier_releases_had_it() -> None:
    assert parse_name("John_Doe", "given_only") == "^John_Doe"
