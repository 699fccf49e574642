"""The hot path gives byte for byte what the plain path gives."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom.dsutils import encode
from tests.worklist.any_item import any_items

from pylantir.dicom.charsets import ASCII, UTF_8, Terms
from pylantir.dicom.datasets import response_identifier
from pylantir.dicom.elements import Encoding
from pylantir.dicom.encoder import AnswerEncoder
from pylantir.dicom.identifiers import Asked, whole_item, whole_step
from pylantir.worklist.attributes import STEP_SEQUENCE_TAG
from pylantir.worklist.item import WorklistItem

ENCODINGS = (Encoding(True, True), Encoding(False, True), Encoding(False, False))
CHARACTER_SETS: tuple[Terms, ...] = (
    ASCII,
    ("ISO_IR 100",),
    UTF_8,
    ("GB18030",),
    ("", "ISO 2022 IR 87"),
    ("ISO 2022 IR 6", "ISO 2022 IR 149"),
)
ROOT = tuple(key for key in whole_item() if key.tag != STEP_SEQUENCE_TAG)
BEYOND = (Asked(0x0018_0015, "BodyPartExamined"), Asked(0x0008_0081, "InstitutionAddress"))


@st.composite
def return_keys(draw: st.DrawFn) -> tuple[Asked, ...]:
    root = draw(st.lists(st.sampled_from((*ROOT, *BEYOND)), unique_by=lambda key: key.tag))
    step = draw(st.lists(st.sampled_from(whole_step()), unique_by=lambda key: key.tag))
    sequence = Asked(STEP_SEQUENCE_TAG, "ScheduledProcedureStepSequence", children=tuple(step))
    return (*root, sequence) if draw(st.booleans()) or not root else tuple(root)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    item=any_items(),
    asked=return_keys(),
    encoding=st.sampled_from(ENCODINGS),
    character_set=st.sampled_from(CHARACTER_SETS),
    preferred=st.sampled_from(CHARACTER_SETS),
)
def test_any_answer_is_the_same_on_both_paths(
    item: WorklistItem,
    asked: tuple[Asked, ...],
    encoding: Encoding,
    character_set: Terms,
    preferred: Terms,
) -> None:
    plain = response_identifier(
        item, asked, station="MR1", character_set=character_set, preferred=preferred
    )
    encoder = AnswerEncoder(
        asked, encoding, station="MR1", character_set=character_set, preferred=preferred
    )
    assert encoder.encode(item) == encode(plain, encoding.implicit_vr, encoding.little_endian)
