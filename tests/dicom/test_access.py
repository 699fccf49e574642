"""Who may connect, from where, under which name, and what for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.audit.trails import lines
from tests.dicom.conftest import MakeServer
from tests.dicom.modality import MPPS, RETRIEVE, VERIFICATION, WORKLIST, Refused
from tests.dicom.performing import begun
from tests.dicom.serving import query

from pylantir.config.schema import Config
from pylantir.dicom.access import Access
from pylantir.dicom.scu import echo
from pylantir.dicom.scu_association import Peer

RULES = [
    {"ae_title": "MR1"},
    {"ae_title": "MR2", "address": "10.1.2.0/24"},
    {"ae_title": "MR3", "called_ae_title": "MWL"},
    {"address": "10.9.0.7"},
    {"ae_title": "VIEWER", "rights": ["worklist"]},
    {"ae_title": "VIEWER", "address": "10.3.0.0/16", "rights": ["mpps"]},
    {"ae_title": "PINGER", "rights": []},
    {"ae_title": "MR6", "address": "fd00::/8"},
]


def access(**settings: Any) -> Access:
    return Access(Config(db_path="x.db", **settings))


@pytest.mark.parametrize(
    ("calling", "called", "address", "refusal"),
    [
        ("MR1", "ANY", "192.0.2.1", None),
        (" MR1 ", "ANY", "192.0.2.1", None),
        ("mr1", "ANY", "192.0.2.1", (1, 1, 3)),
        ("MR2", "ANY", "10.1.2.200", None),
        ("MR2", "ANY", "::ffff:10.1.2.200", None),
        ("MR2", "ANY", "10.1.3.1", (1, 1, 3)),
        ("MR2", "ANY", "fe80::1%eth0", (1, 1, 3)),
        ("MR2", "ANY", "no address", (1, 1, 3)),
        ("MR3", " MWL ", "192.0.2.1", None),
        ("MR3", "OTHER", "192.0.2.1", (1, 1, 7)),
        ("ANYBODY", "ANY", "10.9.0.7", None),
        ("ANYBODY", "ANY", "10.9.0.8", (1, 1, 3)),
        ("MR6", "ANY", "fd12::3%2", None),
        ("MR6", "ANY", "10.1.2.3", (1, 1, 3)),
        ("OLD", "ANY", "192.0.2.1", None),
        ("", "ANY", "192.0.2.1", (1, 1, 3)),
    ],
)
def test_a_rule_fits_when_all_that_it_names_fits(
    calling: str, called: str, address: str, refusal: tuple[int, int, int] | None
) -> None:
    decision = access(allowed_aet=["OLD"], access=RULES).decide(calling, called, address)

    assert decision.refusal == refusal


@pytest.mark.parametrize(
    ("calling", "address", "rights"),
    [
        ("MR1", "192.0.2.1", {"worklist", "mpps"}),
        ("VIEWER", "192.0.2.1", {"worklist"}),
        ("VIEWER", "10.3.4.5", {"worklist", "mpps"}),
        ("PINGER", "192.0.2.1", set()),
        ("OLD", "192.0.2.1", {"worklist", "mpps"}),
    ],
)
def test_rights_are_those_of_all_rules_that_fit(
    calling: str, address: str, rights: set[str]
) -> None:
    decision = access(allowed_aet=["OLD"], access=RULES).decide(calling, "ANY", address)

    assert decision.rights == rights


def test_without_rules_everybody_may_do_everything() -> None:
    everybody = access()

    assert everybody.is_open
    assert everybody.decide("ANYBODY", "ANY", "192.0.2.1").refusal is None
    assert everybody.decide("ANYBODY", "ANY", "192.0.2.1").withheld == frozenset()


def test_the_daemon_proves_itself_whatever_the_rules_are_and_nobody_guesses_how() -> None:
    first, second = access(access=RULES), access(access=RULES)

    decision = first.decide(first.own_ae_title, "ANY", "127.0.0.1")
    assert (decision.refusal, decision.rights) == (None, frozenset())
    assert second.decide(first.own_ae_title, "ANY", "127.0.0.1").refusal == (1, 1, 3)
    assert len(first.own_ae_title) <= 16


def test_what_a_scanner_has_no_right_to_is_rejected_as_its_user_does(
    make_server: MakeServer,
) -> None:
    server = make_server(
        audited=True,
        access=[
            {"ae_title": "VIEWER", "rights": ["worklist"]},
            {"ae_title": "MR1", "rights": ["mpps"]},
        ],
    )
    server.book("1")
    with server.scanner(calling="VIEWER") as viewer:
        results = {uid: result for uid, (result, _) in viewer.results.items()}
        assert results == {VERIFICATION: 0, WORKLIST: 0, MPPS: 1, RETRIEVE: 1}
        assert viewer.find(query()).status == 0
    with server.scanner() as scanner:
        results = {uid: result for uid, (result, _) in scanner.results.items()}
        assert results == {VERIFICATION: 0, WORKLIST: 1, MPPS: 0, RETRIEVE: 0}
        assert scanner.create(begun(), "1.2.3").status == 0

    server.stop()
    alerts = [line for line in lines(server.trail) if line["event"] == "refused"]
    assert [(a["actors"][1]["ae_title"], a["reason"]) for a in alerts] == [
        (
            "VIEWER",
            "no right to use Modality Performed Procedure Step Retrieve SOP Class, "
            "Modality Performed Procedure Step SOP Class",
        ),
        ("MR1", "no right to use Modality Worklist Information Model - FIND"),
    ]


def test_one_association_without_rights_takes_none_from_the_next(make_server: MakeServer) -> None:
    server = make_server(access=[{"ae_title": "PINGER", "rights": []}, {"ae_title": "MR1"}])
    with server.scanner(calling="PINGER") as pinger:
        assert [result for result, _ in pinger.results.values()] == [0, 1, 1, 1]
        with server.scanner() as scanner:
            assert [result for result, _ in scanner.results.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"ae_title": "MR1", "address": "10.255.0.0/16"}, "(1, 1, 3)"),
        ({"ae_title": "MR1", "called_ae_title": "OTHER"}, "(1, 1, 7)"),
        ({"ae_title": "MR2"}, "(1, 1, 3)"),
    ],
)
def test_who_does_not_fit_is_refused_with_the_reason_of_the_standard(
    make_server: MakeServer, rule: dict[str, Any], reason: str
) -> None:
    server = make_server(audited=True, access=[rule])

    with pytest.raises(Refused) as refused, server.scanner():
        pass

    assert str(refused.value.args) == reason or str(refused.value) == reason
    server.stop()
    (alert,) = lines(server.trail)
    assert (alert["event"], alert["actors"][1]["address"]) == ("refused", "127.0.0.1")


def test_an_address_that_fits_lets_anybody_in(make_server: MakeServer) -> None:
    server = make_server(access=[{"address": "127.0.0.0/8"}])

    with server.scanner(calling="WHOEVER") as scanner:
        assert scanner.results[WORKLIST][0] == 0


def test_the_daemons_own_echo_is_answered_and_not_logged(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = make_server(access=[{"ae_title": "MR1", "address": "10.255.0.0/16"}])

    own = Peer(
        host="127.0.0.1",
        port=server.port,
        called_ae_title="MWL_SERVER",
        calling_ae_title=server.ae.access.own_ae_title,
    )

    assert echo(own).is_success
    assert server.ae.access.own_ae_title not in caplog.text
