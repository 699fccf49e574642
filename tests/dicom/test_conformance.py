"""The conformance statement says what the server does, and is up to date."""

from __future__ import annotations

from pathlib import Path

from pylantir.dicom import answers
from pylantir.dicom.conformance import statement
from pylantir.dicom.mpps_rules import RULES
from pylantir.dicom.sop_classes import SOP_CLASSES, TRANSFER_SYNTAXES
from pylantir.worklist.attributes import MODEL

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_the_document_is_the_statement() -> None:
    stale = "write it again: python -m pylantir.dicom.conformance > docs/conformance.md"
    assert DOCUMENT.read_text(encoding="utf-8") == statement(), stale


def test_every_class_syntax_and_attribute_is_stated() -> None:
    text = statement()
    assert all(f"`{uid}`" in text for uid in (*SOP_CLASSES, *TRANSFER_SYNTAXES))
    assert all(f"| {attribute.keyword} |" in text.replace("> ", "") for attribute in MODEL)
    rows = [line for line in text.splitlines() if line.count("|") == 5]
    assert len([row for row in rows if row.startswith("| ")]) > len(RULES)


def test_what_the_standard_asks_of_an_mpps_statement_is_answered() -> None:
    text = " ".join(statement().split())
    assert "A step is kept for as long as the database is" in text
    assert "The server changes no attribute of a step on its own" in text
    assert "N-CREATE puts the items to IN PROGRESS" in text


def test_every_status_that_is_answered_is_stated() -> None:
    named = {name: value for name, value in vars(answers).items() if name.isupper()}
    statuses = [value for name, value in named.items() if not name.startswith("_")]
    text = statement()
    assert [f"0x{code:04X}" for code in statuses if f"0x{code:04X}" not in text] == []
