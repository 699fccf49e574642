"""What the README and the documents promise is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY

from pylantir.cli.parser import command_names
from pylantir.config.load import load_config

DOCUMENTS = sorted(
    path
    for folder in (REPOSITORY, REPOSITORY / "config", REPOSITORY / "docs")
    for path in (folder.glob("*.md") if folder == REPOSITORY else folder.rglob("*.md"))
)
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_CODE = re.compile(r"^```.*?^```|`[^`]*`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors_in(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = _HEADING.findall(path.read_text(encoding="utf-8"))
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix()
)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = _CODE.sub("", document.read_text(encoding="utf-8"))

    nowhere = []
    for link, anchor in _LINK.findall(text):
        target = document.parent / link if link else document
        if not target.exists() or (anchor and anchor not in anchors_in(target)):
            nowhere.append(f"{link}#{anchor}")

    assert nowhere == []


def test_every_command_stands_in_the_readme() -> None:
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.M))))

    assert named == set(command_names())


def test_the_configuration_in_the_readme_can_be_used(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert example is not None
    (tmp_path / "site.json").write_text(example[1], encoding="utf-8")

    loaded = load_config(tmp_path / "site.json", environ={})

    assert loaded.warnings == ()
    assert len(loaded.config.allowed_aet) == 2
    assert len(json.loads(example[1])) <= 10


def test_the_two_commands_are_those_of_the_gate() -> None:
    """What newcomers are told to type is what is tried on every change."""
    gate = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    commands = re.findall(r"```sh\n(pip [^\n]+)\n```", README)

    assert len(commands) == 2
    for part in commands[1].split(" && "):
        assert re.search(rf"^{re.escape(part).replace('install', 'install( -q)?')}", gate, re.M)
