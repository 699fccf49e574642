"""The attribute table: what the Modality Worklist Information Model holds (PS3.4 Table K.6-1).

One row is one attribute. Matching, response data sets, database columns, import and export, the
conformance statement and the documentation are all read off this table; nothing else in the
project says what an attribute is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Level(StrEnum):
    """Where in the identifier an attribute stands."""

    ROOT = "root"
    STEP = "scheduled procedure step"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the worklist model.

    Parameters
    ----------
    name : str
        Field of :class:`~pylantir.worklist.item.WorklistItem`; empty when the item keeps the
        value among its extras.
    keyword, tag, vr : str, int, str
        As in PS3.6.
    level : Level
        Root of the identifier, or inside the Scheduled Procedure Step Sequence.
    matching : str
        ``R`` required, ``O`` optional, ``-`` never matched (universal only).
    return_type : str
        Return key type: 1, 1C, 2, 2C or 3.
    multiple : bool
        Value multiplicity 1-n.
    alias : tuple of str
        Other spellings that people use; the first is the one that the published release has in
        its database, its REST payloads and its field mappings.
    """

    name: str
    keyword: str
    tag: int
    vr: str
    level: Level
    matching: str
    return_type: str
    multiple: bool = False
    alias: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Name of the database column: the published release's where it has one."""
        return _PUBLISHED_COLUMNS.get(self.name, self.name)

    @property
    def is_sequence(self) -> bool:
        """Whether the value is a sequence of items."""
        return self.vr == "SQ"


_PUBLISHED_COLUMNS = {
    "status": "performed_procedure_step_status",
    "scheduled_station_ae_title": "scheduled_station_aetitle",
    "scheduled_procedure_step_start_date": "scheduled_start_date",
    "scheduled_procedure_step_start_time": "scheduled_start_time",
    "scheduled_performing_physician_name": "performing_physician",
    "requested_procedure_description": "procedure_description",
    "scheduled_station_name": "station_name",
}

_R, _S = Level.ROOT, Level.STEP


def _row(
    name: str,
    keyword: str,
    tag: int,
    vr: str,
    level: Level,
    types: str,
    alias: str = "",
    *,
    multiple: bool = False,
) -> Attribute:
    matching, return_type = types.split("/")
    names = tuple(alias.split())
    return Attribute(name, keyword, tag, vr, level, matching, return_type, multiple, names)


# fmt: off
MODEL: tuple[Attribute, ...] = (
    # --- Scheduled Procedure Step (K.6.1.2.1) ---
    _row("scheduled_station_ae_title", "ScheduledStationAETitle", 0x0040_0001, "AE", _S, "R/1", "scheduled_station_aetitle station_ae_title station_aet station_aetitle", multiple=True),
    _row("scheduled_procedure_step_start_date", "ScheduledProcedureStepStartDate", 0x0040_0002, "DA", _S, "R/1", "scheduled_start_date start_date scheduled_date"),
    _row("scheduled_procedure_step_start_time", "ScheduledProcedureStepStartTime", 0x0040_0003, "TM", _S, "R/1", "scheduled_start_time start_time scheduled_time"),
    _row("modality", "Modality", 0x0008_0060, "CS", _S, "R/1"),
    _row("scheduled_performing_physician_name", "ScheduledPerformingPhysicianName", 0x0040_0006, "PN", _S, "R/2", "performing_physician performing_physician_name"),
    _row("scheduled_procedure_step_description", "ScheduledProcedureStepDescription", 0x0040_0007, "LO", _S, "O/1C", "step_description"),
    _row("scheduled_protocol_codes", "ScheduledProtocolCodeSequence", 0x0040_0008, "SQ", _S, "O/1C"),
    _row("scheduled_procedure_step_id", "ScheduledProcedureStepID", 0x0040_0009, "SH", _S, "O/1", "step_id"),
    _row("scheduled_station_name", "ScheduledStationName", 0x0040_0010, "SH", _S, "O/2", "station_name", multiple=True),
    _row("scheduled_procedure_step_location", "ScheduledProcedureStepLocation", 0x0040_0011, "SH", _S, "O/2", "location"),
    _row("pre_medication", "PreMedication", 0x0040_0012, "LO", _S, "O/2C"),
    _row("requested_contrast_agent", "RequestedContrastAgent", 0x0032_1070, "LO", _S, "O/2C"),
    _row("status", "ScheduledProcedureStepStatus", 0x0040_0020, "CS", _S, "O/3", "performed_procedure_step_status"),
    _row("scheduled_procedure_step_end_date", "ScheduledProcedureStepEndDate", 0x0040_0004, "DA", _S, "O/3", "end_date"),
    _row("scheduled_procedure_step_end_time", "ScheduledProcedureStepEndTime", 0x0040_0005, "TM", _S, "O/3", "end_time"),
    _row("scheduled_procedure_step_comments", "CommentsOnTheScheduledProcedureStep", 0x0040_0400, "LT", _S, "O/3", "step_comments"),
    # --- Requested Procedure (K.6.1.2.2) ---
    _row("requested_procedure_id", "RequestedProcedureID", 0x0040_1001, "SH", _R, "O/1", "procedure_id"),
    _row("requested_procedure_description", "RequestedProcedureDescription", 0x0032_1060, "LO", _R, "O/1C", "procedure_description"),
    _row("requested_procedure_codes", "RequestedProcedureCodeSequence", 0x0032_1064, "SQ", _R, "O/1C"),
    _row("study_instance_uid", "StudyInstanceUID", 0x0020_000D, "UI", _R, "O/1"),
    _row("study_date", "StudyDate", 0x0008_0020, "DA", _R, "O/3"),
    _row("study_time", "StudyTime", 0x0008_0030, "TM", _R, "O/3"),
    _row("study_description", "StudyDescription", 0x0008_1030, "LO", _R, "O/3"),
    _row("", "ReferencedStudySequence", 0x0008_1110, "SQ", _R, "-/2"),
    _row("requested_procedure_priority", "RequestedProcedurePriority", 0x0040_1003, "SH", _R, "O/2", "priority"),
    _row("patient_transport_arrangements", "PatientTransportArrangements", 0x0040_1004, "LO", _R, "O/2"),
    _row("reason_for_requested_procedure", "ReasonForTheRequestedProcedure", 0x0040_1002, "LO", _R, "O/3", "reason"),
    _row("", "ReasonForRequestedProcedureCodeSequence", 0x0040_100A, "SQ", _R, "-/3"),
    _row("requested_procedure_comments", "RequestedProcedureComments", 0x0040_1400, "LT", _R, "O/3"),
    # --- Imaging Service Request (K.6.1.2.3) ---
    _row("accession_number", "AccessionNumber", 0x0008_0050, "SH", _R, "O/2", "accession"),
    _row("", "IssuerOfAccessionNumberSequence", 0x0008_0051, "SQ", _R, "-/3"),
    _row("referring_physician_name", "ReferringPhysicianName", 0x0008_0090, "PN", _R, "O/2", "referring_physician"),
    _row("requesting_physician", "RequestingPhysician", 0x0032_1032, "PN", _R, "O/2"),
    _row("requesting_service", "RequestingService", 0x0032_1033, "LO", _R, "O/3"),
    _row("placer_order_number", "PlacerOrderNumberImagingServiceRequest", 0x0040_2016, "LO", _R, "O/3"),
    _row("filler_order_number", "FillerOrderNumberImagingServiceRequest", 0x0040_2017, "LO", _R, "O/3"),
    # --- Visit (K.6.1.2.4, K.6.1.2.5) ---
    _row("admission_id", "AdmissionID", 0x0038_0010, "LO", _R, "O/2"),
    _row("current_patient_location", "CurrentPatientLocation", 0x0038_0300, "LO", _R, "O/2"),
    _row("", "ReferencedPatientSequence", 0x0008_1120, "SQ", _R, "-/2"),
    _row("institution_name", "InstitutionName", 0x0008_0080, "LO", _R, "O/3"),
    _row("admitting_diagnoses_description", "AdmittingDiagnosesDescription", 0x0008_1080, "LO", _R, "O/3", multiple=True),
    _row("service_episode_id", "ServiceEpisodeID", 0x0038_0060, "LO", _R, "O/3"),
    # --- Patient (K.6.1.2.6, K.6.1.2.7, K.6.1.2.8) ---
    _row("patient_name", "PatientName", 0x0010_0010, "PN", _R, "R/1", "name"),
    _row("patient_id", "PatientID", 0x0010_0020, "LO", _R, "R/1"),
    _row("issuer_of_patient_id", "IssuerOfPatientID", 0x0010_0021, "LO", _R, "O/3"),
    _row("", "OtherPatientIDsSequence", 0x0010_1002, "SQ", _R, "-/3"),
    _row("patient_birth_date", "PatientBirthDate", 0x0010_0030, "DA", _R, "O/2", "birth_date"),
    _row("patient_sex", "PatientSex", 0x0010_0040, "CS", _R, "O/2", "sex"),
    _row("patient_weight_kg", "PatientWeight", 0x0010_1030, "DS", _R, "O/2", "patient_weight weight_kg"),
    _row("patient_size_m", "PatientSize", 0x0010_1020, "DS", _R, "O/3", "patient_size size_m"),
    _row("confidentiality_constraint", "ConfidentialityConstraintOnPatientDataDescription", 0x0040_3001, "LO", _R, "O/2"),
    _row("patient_state", "PatientState", 0x0038_0500, "LO", _R, "O/2"),
    _row("special_needs", "SpecialNeeds", 0x0038_0050, "LO", _R, "O/2"),
    _row("pregnancy_status", "PregnancyStatus", 0x0010_21C0, "US", _R, "O/2"),
    _row("medical_alerts", "MedicalAlerts", 0x0010_2000, "LO", _R, "O/2", multiple=True),
    _row("allergies", "Allergies", 0x0010_2110, "LO", _R, "O/2", multiple=True),
    _row("additional_patient_history", "AdditionalPatientHistory", 0x0010_21B0, "LT", _R, "O/3"),
    _row("last_menstrual_date", "LastMenstrualDate", 0x0010_21D0, "DA", _R, "O/3"),
    _row("smoking_status", "SmokingStatus", 0x0010_21A0, "CS", _R, "O/3"),
    _row("ethnic_group", "EthnicGroup", 0x0010_2160, "SH", _R, "O/3"),
    _row("patient_comments", "PatientComments", 0x0010_4000, "LT", _R, "O/3"),
    _row("responsible_person", "ResponsiblePerson", 0x0010_2297, "PN", _R, "O/3"),
    _row("", "PatientPrimaryLanguageCodeSequence", 0x0010_0101, "SQ", _R, "-/3"),
    _row("", "PertinentDocumentsSequence", 0x0038_0100, "SQ", _R, "-/3"),
    # --- Scheduled Specimen (K.6.1.2.9) ---
    _row("", "ScheduledSpecimenSequence", 0x0040_0500, "SQ", _R, "-/3"),
    _row("barcode_value", "BarcodeValue", 0x2200_0005, "LT", _R, "O/3"),
)
# fmt: on

STEP_SEQUENCE_TAG = 0x0040_0100
"""Scheduled Procedure Step Sequence: required matching key, return type 1."""

CODE_KEYS = {
    0x0008_0100: "value",
    0x0008_0102: "scheme",
    0x0008_0103: "version",
    0x0008_0104: "meaning",
}
"""Attributes of one item of a code sequence (PS3.3 Table 8.8-1) and the field of `Code`."""

FIELDS: tuple[Attribute, ...] = tuple(a for a in MODEL if a.name)
"""The attributes that are fields of the item."""

BY_NAME = {a.name: a for a in FIELDS}
BY_KEYWORD = {a.keyword: a for a in MODEL}
BY_TAG = {(a.level, a.tag): a for a in MODEL}


@cache
def _spellings() -> dict[str, Attribute]:
    known: dict[str, Attribute] = {}
    for attribute in FIELDS:
        for name in (attribute.name, attribute.keyword.lower(), attribute.column, *attribute.alias):
            known.setdefault(name.lower(), attribute)
    return known


def attribute_named(name: str) -> Attribute | None:
    """The attribute that people mean by a name: item field, DICOM keyword or published spelling."""
    return _spellings().get(name.strip().lower().replace(" ", "_").replace("-", "_"))
