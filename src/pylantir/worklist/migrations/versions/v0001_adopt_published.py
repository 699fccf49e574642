"""Adopt a database of the published release, 0.2 to 0.4.

Its one table gets the columns it lacks and its rows are marked for checking; nothing of what they
hold is changed here. Release 0.2 has no source columns, 0.3 has no source record id.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT_COLUMNS = """
study_instance_uid patient_name patient_id patient_birth_date patient_sex patient_weight_lb
accession_number referring_physician_name modality study_description scheduled_station_aetitle
scheduled_start_date scheduled_start_time performing_physician procedure_description
protocol_name station_name hisris_coding_designator performed_procedure_step_status
scheduled_procedure_step_description scheduled_protocol_codes scheduled_procedure_step_id
scheduled_procedure_step_location pre_medication requested_contrast_agent
scheduled_procedure_step_end_date scheduled_procedure_step_end_time
scheduled_procedure_step_comments requested_procedure_id requested_procedure_codes study_date
study_time requested_procedure_priority patient_transport_arrangements
reason_for_requested_procedure requested_procedure_comments requesting_physician
requesting_service placer_order_number filler_order_number admission_id current_patient_location
institution_name admitting_diagnoses_description service_episode_id issuer_of_patient_id
patient_weight_kg patient_size_m confidentiality_constraint patient_state special_needs
pregnancy_status medical_alerts allergies additional_patient_history last_menstrual_date
smoking_status ethnic_group patient_comments responsible_person barcode_value extras
patient_name_key created_at updated_at rejected_reason withdrawn_reason missing_since held_back
""".split()

_PUBLISHED = -1
"""Version of a row that the published release wrote and that has not been checked yet."""


def upgrade() -> None:
    connection = op.get_bind()
    present = {column["name"] for column in sa.inspect(connection).get_columns("worklist_items")}
    missing = [sa.Column(name, sa.Text) for name in _TEXT_COLUMNS if name not in present]
    for name in ("data_source", "source_record_id"):
        if name not in present:
            missing.append(sa.Column(name, sa.String(255)))
    for column in missing:
        op.add_column("worklist_items", column)
    op.add_column("worklist_items", sa.Column("version", sa.Integer))
    op.execute(f"UPDATE worklist_items SET version = {_PUBLISHED}")
    _part_doubles()
    _create_indexes()
    _create_step_tables()
    _create_source_tables()
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO changes (id, version) VALUES (1, 0)")


def _part_doubles() -> None:
    """Rows of one booking, in tables without the published constraint: the newest keeps the id."""
    op.execute(
        "UPDATE worklist_items SET source_record_id = NULL WHERE EXISTS ("
        "SELECT 1 FROM worklist_items AS newer WHERE newer.id > worklist_items.id"
        " AND newer.data_source = worklist_items.data_source"
        " AND newer.source_record_id = worklist_items.source_record_id)"
    )


def _create_indexes() -> None:
    for name, columns in (
        ("start", ["scheduled_start_date", "scheduled_station_aetitle"]),
        ("status", ["performed_procedure_step_status"]),
        ("patient_id", ["patient_id"]),
        ("patient_name_key", ["patient_name_key"]),
        ("accession_number", ["accession_number"]),
        ("study_instance_uid", ["study_instance_uid"]),
        ("version", ["version"]),
    ):
        op.create_index(f"ix_worklist_items_{name}", "worklist_items", columns)
    op.create_index(
        "ux_worklist_items_source_record",
        "worklist_items",
        ["data_source", "source_record_id"],
        unique=True,
    )


def _create_step_tables() -> None:
    texts = """performed_procedure_step_id performed_station_ae_title calling_ae_title modality
        patient_id patient_name started ended discontinuation_reason attributes violations
        created_at updated_at""".split()
    op.create_table(
        "performed_steps",
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_performed_steps_started", "performed_steps", ["started"])
    op.create_index("ix_performed_steps_status", "performed_steps", ["status"])
    op.create_table(
        "performed_step_links",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "sop_instance_uid",
            sa.String(64),
            sa.ForeignKey("performed_steps.sop_instance_uid", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("worklist_items.id", ondelete="SET NULL")),
        sa.Column("rule", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "sop_instance_uid", "position", name="ux_performed_step_links_position"
        ),
    )
    op.create_index("ix_performed_step_links_item_id", "performed_step_links", ["item_id"])


def _create_source_tables() -> None:
    op.create_table(
        "source_states",
        sa.Column("name", sa.String(255), primary_key=True),
        *(
            sa.Column(name, sa.Text)
            for name in ("cursor", "last_attempt", "last_success", "last_full", "last_error")
        ),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_run", sa.Text),
        sa.Column("notes", sa.Text),
    )
    counts = ("complete", "fetched", "created", "updated", "unchanged", "withdrawn", "rejected")
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("ended", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("message", sa.Text, nullable=False),
    )
    op.create_index("ix_sync_runs_source", "sync_runs", ["source", "id"])
    op.create_table(
        "rejected_records",
        sa.Column("source", sa.String(255), primary_key=True),
        sa.Column("record_id", sa.String(255), primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("reasons", "first_seen", "last_seen")
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("record_id", sa.String(255), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt", sa.Text, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("sent_at", sa.Text),
    )
    op.create_index("ix_outbox_source", "outbox", ["source", "sent_at"])
