"""The REDCap stand-in over HTTP: errors and the rate limit."""

from __future__ import annotations

import pytest
import requests
from tests.standins.conftest import Ask
from tests.standins.redcap import DENIED, RedcapStandIn
from tests.standins.redcap_data import Project
from tests.standins.redcap_samples import sample_project


class TestErrors:
    """Codes and bodies of refusals."""

    @pytest.mark.parametrize("token", ["0" * 32, "not a token", "", None])
    def test_an_unknown_token_is_403(self, redcap: RedcapStandIn, token: str | None) -> None:
        form = {"content": "version", "format": "json"} | ({"token": token} if token else {})
        answer = requests.post(redcap.api_url, data=form)
        assert (answer.status_code, answer.json()) == (403, {"error": DENIED})

    def test_a_revoked_token_is_403_until_it_is_issued_again(
        self, redcap: RedcapStandIn, ask: Ask, project: Project
    ) -> None:
        token = project.token
        redcap.revoke_token()
        assert ask("version", token=token).status_code == 403
        assert redcap.issue_token() == {"token": token}
        assert ask("version", token=token).status_code == 200

    @pytest.mark.parametrize(
        ("formats", "body"),
        [
            ({"format": "json"}, f'{{"error":"{DENIED}"}}'),
            ({"format": "json", "returnFormat": "csv"}, f"ERROR: {DENIED}"),
            (
                {},
                f'<?xml version="1.0" encoding="UTF-8" ?><hash><error>{DENIED}</error></hash>',
            ),
        ],
    )
    def test_the_error_follows_return_format_then_format_then_xml(
        self, redcap: RedcapStandIn, formats: dict[str, str], body: str
    ) -> None:
        assert requests.post(redcap.api_url, data={"content": "record", **formats}).text == body

    def test_another_method_is_501_in_xml(self, redcap: RedcapStandIn) -> None:
        answer = requests.get(redcap.api_url)
        assert answer.status_code == 501
        assert answer.text == (
            '<?xml version="1.0" encoding="UTF-8" ?>'
            "<hash><error>The requested method is not implemented.</error></hash>"
        )

    def test_another_path_is_404_in_html(self, redcap: RedcapStandIn) -> None:
        for url in (redcap.api_url[:-1], f"{redcap.url}/redcap/api/"):
            answer = requests.post(url, data={"content": "version"})
            assert answer.status_code == 404
            assert answer.headers["Content-Type"].startswith("text/html")

    def test_an_installation_below_a_prefix(self) -> None:
        with RedcapStandIn(prefix="/redcap") as server:
            token = server.add_project(sample_project()).token
            assert server.api_url.endswith("/redcap/api/")
            form = {"token": token, "content": "version"}
            assert requests.post(server.api_url, data=form).text == "14.9.1"

    @pytest.mark.parametrize(
        ("content", "form", "message"),
        [
            ("nonsense", {}, 'The value of the parameter "content" is not valid'),
            (
                "record",
                {"fields": "record_id,demographics_timestamp"},
                "The following values in the parameter fields are not valid: "
                "'demographics_timestamp'",
            ),
            (
                "record",
                {"forms": "nix,nada"},
                "The following values in the parameter forms are not valid: 'nix', 'nada'",
            ),
            (
                "record",
                {"events": "nix"},
                "The following values in the parameter events are not valid: 'nix'",
            ),
            (
                "record",
                {"dateRangeBegin": "yesterday"},
                'The value of the parameter "dateRangeBegin" is not valid',
            ),
            (
                "record",
                {"filterLogic": "[a] = 1"},
                'The value of the parameter "filterLogic" is not valid',
            ),
            ("log", {"logtype": "nix"}, 'The value of the parameter "logtype" is not valid'),
        ],
    )
    def test_a_wrong_parameter_is_400(
        self, ask: Ask, content: str, form: dict[str, str], message: str
    ) -> None:
        answer = ask(content, **form)
        assert (answer.status_code, answer.json()) == (400, {"error": message})

    @pytest.mark.parametrize(
        ("right", "value", "content", "form"),
        [
            ("api", "false", "version", {}),
            ("export", "none", "record", {}),
            ("logging", "0", "log", {}),
            ("imports", "no", "record", {"data": "[]"}),
            ("delete", "no", "record", {"action": "delete", "records": "1"}),
        ],
    )
    def test_a_missing_right_is_403(
        self,
        redcap: RedcapStandIn,
        ask: Ask,
        right: str,
        value: str,
        content: str,
        form: dict[str, str],
    ) -> None:
        redcap.set_rights(**{right: value})
        answer = ask(content, **form)
        assert answer.status_code == 403
        assert answer.json()["error"].startswith("You do not have")
        redcap.set_rights(**{right: "full" if right == "export" else "yes"})
        assert ask(content, **form).status_code == 200

    def test_a_large_export_runs_out_of_memory(self, redcap: RedcapStandIn, ask: Ask) -> None:
        redcap.set_max_rows(7)
        answer = ask("record", fields="record_id,mri_date")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("REDCap ran out of server memory.")
        assert ask("record", fields="record_id,mri_date", records="1,2").status_code == 200

    def test_the_documented_code_for_an_unknown_token_can_be_had(self) -> None:
        with RedcapStandIn(denied_status=401) as server:
            assert requests.post(server.api_url, data={"content": "version"}).status_code == 401


class TestRateLimit:
    """600 requests a minute, then a ban."""

    def test_the_request_too_many_bans_the_address_with_a_page(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        redcap.limiter.per_minute = 3
        seen = [ask("version").status_code for _ in range(5)]
        assert seen == [200, 200, 200, 403, 403]
        banned = ask("version")
        assert banned.headers["Content-Type"].startswith("text/html")
        assert "Retry-After" not in banned.headers
        redcap.clock.advance(days=1)
        assert ask("version").status_code == 403
        redcap.limiter.lift()
        assert ask("version").status_code == 200

    def test_a_ban_may_end_by_itself_and_may_come_with_status_200(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        redcap.limiter.per_minute, redcap.limiter.ban_s, redcap.ban_status = 1, 3600, 200
        ask("version")
        banned = ask("version")
        assert (banned.status_code, "banned" in banned.text) == (200, True)
        redcap.clock.advance(3600)
        assert ask("version").text == "14.9.1"

    def test_requests_spread_over_time_are_never_banned(
        self, redcap: RedcapStandIn, ask: Ask
    ) -> None:
        redcap.limiter.per_minute = 2
        for _ in range(6):
            assert ask("version").status_code == 200
            redcap.clock.advance(30)

    def test_the_default_is_600_a_minute(self) -> None:
        assert RedcapStandIn().limiter.per_minute == 600
