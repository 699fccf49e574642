"""The database tables.

``worklist_items`` keeps the name and the columns of the published release, so that what reads or
writes that database goes on working; the other columns come from the attribute table. A row whose
``version`` is NULL was written by somebody else and has not been checked yet.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pylantir.worklist.attributes import FIELDS

SCHEMA_VERSION = "0003"
"""The newest migration in ``worklist/migrations/versions``."""

metadata = MetaData()

worklist_items = Table(
    "worklist_items",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *(Column(a.column, Text) for a in FIELDS),
    # Names of the published release that hold no attribute of their own: written for whoever
    # reads them, read only from rows that somebody else wrote.
    Column("patient_weight_lb", Text),
    Column("protocol_name", Text),
    Column("hisris_coding_designator", Text),
    Column("data_source", String(255)),
    Column("source_record_id", String(255)),
    Column("extras", Text),
    Column("patient_name_key", Text),  # folded for matching, see query.fold_name
    Column("created_at", Text),  # UTC, ISO 8601
    Column("updated_at", Text),
    Column("version", Integer),
    Column("rejected_reason", Text),
    Column("withdrawn_reason", Text),  # why its source took it back; empty when a person did
    Column("missing_since", Text),  # first complete batch of its source that did not name it
    Column("held_back", Text),  # JSON: what its source changed after a scanner had begun
    Index("ix_worklist_items_start", "scheduled_start_date", "scheduled_start_time"),
    Index("ix_worklist_items_patient_id", "patient_id"),
    Index("ix_worklist_items_patient_name_key", "patient_name_key"),
    Index("ix_worklist_items_accession_number", "accession_number"),
    Index("ix_worklist_items_study_instance_uid", "study_instance_uid"),
    Index("ix_worklist_items_version", "version"),
    Index("ux_worklist_items_source_record", "data_source", "source_record_id", unique=True),
)

performed_steps = Table(
    "performed_steps",
    metadata,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("performed_procedure_step_id", Text, nullable=False),
    Column("performed_station_ae_title", Text, nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("started", Text, nullable=False),  # the scanner's wall clock, YYYY-MM-DD HH:MM:SS
    Column("ended", Text, nullable=False),  # empty while it runs
    Column("discontinuation_reason", Text, nullable=False),  # CODE^SCHEME^MEANING
    Column("attributes", Text, nullable=False),  # the whole data set, DICOM JSON (PS3.18 F)
    Column("violations", Text, nullable=False),  # JSON list of rules the scanner broke
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_performed_steps_started", "started"),
)

step_links = Table(
    "performed_step_links",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "sop_instance_uid",
        String(64),
        ForeignKey("performed_steps.sop_instance_uid", ondelete="CASCADE"),
        nullable=False,
    ),
    # Place in the Scheduled Step Attributes Sequence, from 0.
    Column("position", Integer, nullable=False),
    Column("item_id", Integer, ForeignKey("worklist_items.id", ondelete="SET NULL")),
    Column("rule", Text, nullable=False),  # how it was linked; empty when it was not
    UniqueConstraint("sop_instance_uid", "position", name="ux_performed_step_links_position"),
    Index("ix_performed_step_links_item_id", "item_id"),
)

item_changes = Table(
    "item_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "item_id",
        Integer,
        ForeignKey("worklist_items.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("at", Text, nullable=False),  # UTC, ISO 8601
    Column("kind", String(16), nullable=False),
    Column("who", Text, nullable=False),  # account, source, or whoever ran the command
    Column("fields", Text, nullable=False),  # JSON list of names, never values
    Index("ix_item_changes_item_id", "item_id"),
)

source_states = Table(
    "source_states",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("cursor", Text),
    Column("last_attempt", Text),
    Column("last_success", Text),
    Column("last_full", Text),  # newest comparison of everything in the window
    Column("last_error", Text),
    Column("failures", Integer, nullable=False),  # in a row
    Column("next_run", Text),
    Column("notes", Text),  # JSON list, of the newest batch
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(255), nullable=False),
    Column("started", Text, nullable=False),
    Column("ended", Text, nullable=False),
    Column("complete", Integer, nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("fetched", "created", "updated", "unchanged", "withdrawn", "rejected")
    ),
    Column("message", Text, nullable=False),
    Index("ix_sync_runs_source", "source", "id"),
)

rejected_records = Table(
    "rejected_records",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("record_id", String(255), primary_key=True),
    Column("reasons", Text, nullable=False),  # for people: may hold what they typed
    Column("first_seen", Text, nullable=False),
    Column("last_seen", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(255), nullable=False),
    Column("record_id", String(255), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("created_at", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt", Text, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("sent_at", Text),
    Index("ix_outbox_source", "source", "sent_at"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""One row: the newest version given to any item or step."""
