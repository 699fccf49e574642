"""Items that hypothesis makes up: every field of the model and extras of many kinds."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from pylantir.worklist.attributes import FIELDS, Attribute
from pylantir.worklist.item import WorklistItem, make_item
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.values import MAX_CHARACTERS

LETTERS = (
    string.ascii_letters
    + string.digits
    + " .,;:'\"/-_+=@#&%()[]{}<>|!?*$~`éÜßñøŁ山田太郎やまだ김王"
)
_EVERY_LINE = LETTERS + "^=\r\n\t"
_CS = string.ascii_uppercase + string.digits + "_ "


def _words(alphabet: str, limit: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=min(limit, 40))


_NAME_PART = st.text(LETTERS.replace("=", ""), max_size=12)
_NAME_GROUP = st.lists(_NAME_PART, max_size=5).map("^".join).map(lambda group: group[:64])
NAMES = st.lists(_NAME_GROUP, max_size=3).map("=".join)
UIDS = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).map(lambda p: ".".join(map(str, p)))
_SH = _words(LETTERS, 16).map(lambda text: text[:16])
_NEEDED = st.text(string.ascii_letters + "é山", min_size=1, max_size=16)
CODES = st.lists(
    st.fixed_dictionaries(
        {"value": _NEEDED, "scheme": _NEEDED}, optional={"meaning": _SH, "version": _SH}
    ),
    max_size=3,
)

_BY_VR: dict[str, st.SearchStrategy[Any]] = {
    "AE": st.text(string.ascii_letters + string.digits + "_-.=@", max_size=16),
    "CS": _words(_CS, 16).map(lambda text: text[:16]),
    "DA": st.dates(),
    "DS": st.decimals("0.2", 3, places=2),
    "LT": _words(_EVERY_LINE, MAX_CHARACTERS["LT"]),
    "LO": _words(LETTERS, MAX_CHARACTERS["LO"]),
    "PN": NAMES,
    "SH": _SH,
    "SQ": CODES,
    "TM": st.times(),
    "UI": UIDS,
    "US": st.none() | st.integers(1, 4),
}
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from(ItemStatus),
    "patient_sex": st.sampled_from(["M", "F", "O", ""]),
    "patient_weight_kg": st.none() | st.decimals("0.2", 650, places=2),
}
_REQUIRED: dict[str, st.SearchStrategy[Any]] = {
    "patient_name": _NEEDED,
    "patient_id": _NEEDED,
    "modality": st.sampled_from(["MR", "CT", "US"]),
    "scheduled_procedure_step_start_date": st.dates(),
    "scheduled_procedure_step_start_time": st.times(),
}

_EXTRAS: dict[str, st.SearchStrategy[Any]] = {
    "PatientAge": st.just("045Y"),
    "PatientMotherBirthName": NAMES,
    "PatientAddress": _words(LETTERS, 64),
    "DerivationDescription": _words(_EVERY_LINE, 1024),
    "ImageType": st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "M"]), min_size=1, max_size=3),
    "SeriesNumber": st.integers(-(2**31), 2**31 - 1),
    "SliceThickness": st.decimals(0, 100, places=2),
    "PatientBirthTime": st.times(),
    "ReferencedStudySequence": st.lists(
        st.fixed_dictionaries({"ReferencedSOPClassUID": UIDS, "ReferencedSOPInstanceUID": UIDS}),
        max_size=2,
    ),
    "OtherPatientIDsSequence": st.lists(
        st.fixed_dictionaries({"PatientID": _NEEDED}, optional={"IssuerOfPatientID": _SH}),
        max_size=2,
    ),
}


def _values_of(attribute: Attribute) -> st.SearchStrategy[Any]:
    chosen = _BY_NAME.get(attribute.name, _BY_VR[attribute.vr])
    return st.lists(chosen, max_size=3) if attribute.multiple else chosen


@st.composite
def any_items(draw: st.DrawFn) -> WorklistItem:
    """An item with some of everything; what was drawn is valid for its VR."""
    optional = {a.name: _values_of(a) for a in FIELDS if a.name not in _REQUIRED}
    values = draw(st.fixed_dictionaries(_REQUIRED, optional={**optional, **_EXTRAS}))
    item = make_item(
        values,
        data_source=draw(_NEEDED),
        source_record_id=draw(st.text(LETTERS + "\\", min_size=1, max_size=60).map(_identity)),
    )
    return replace(item, extras={name: value for name, value in item.extras.items() if value != ""})


def _identity(text: str) -> str:
    return text.strip() or "1"
