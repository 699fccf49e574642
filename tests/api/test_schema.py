"""The description of the API is true: schemathesis sends what it allows, and what it does not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.api.conftest import Api
from tests.api.test_access import ALLOWED
from tests.api.test_routes import perform

from pylantir.config.schema import Config
from pylantir.users.roles import Role

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, accounts: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("schema")
    for file in accounts.iterdir():
        shutil.copy(file, folder / file.name)
    made = Api(Config(db_path=str(folder / "worklist.db"), api={"port": 0}))
    made.worklist.audit.start()
    item = made.book()
    perform(made, "1.2.3")
    made.worklist.steps.link("1.2.3", item.item_id or 0, by="rivera")
    with contextlib.closing(made):
        yield made
    made.worklist.audit.stop()


@pytest.fixture(scope="module")
def described(running: Api) -> Any:
    return schemathesis.openapi.from_url(f"{running.part.url}/openapi.json")


LEFT_OUT = ("GET /events", "POST /auth/logout", "PUT /users/{user_id}", "DELETE /users/{user_id}")
"""A stream that does not end, and what ends the accounts that the other requests need."""

HIDDEN = ("/docs", "/redoc", "/openapi.json")


CASES = [
    (name, mode)
    for name in ALLOWED
    if name not in LEFT_OUT and not name.split()[1].startswith(HIDDEN)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # Nothing can be wrong with a request that takes nothing.
    if mode is GenerationMode.POSITIVE or name not in ("GET /health", "GET /ready")
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_a_route_does_what_its_description_says(
    name: str, mode: GenerationMode, running: Api, described: Any
) -> None:
    method, path = name.split()
    headers = {"Authorization": f"Bearer {running.tokens[Role.ADMIN]}"}

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(described[path][method].as_strategy(generation_mode=mode))
    def conforms(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

    conforms()
