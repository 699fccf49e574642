"""Indexes by status go, and that by start has the time, too.

No question was answered faster by status, and every scan had to renew both: nearly all rows have
one of two, so SQLite reads them by their start; an N-SET wrote four of its eight pages for them.
By day and time rows come in the order in which scanners see them, without being sorted first.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_START = "ix_worklist_items_start"


def upgrade() -> None:
    op.drop_index("ix_worklist_items_status", "worklist_items", if_exists=True)
    op.drop_index("ix_performed_steps_status", "performed_steps", if_exists=True)
    op.drop_index(_START, "worklist_items", if_exists=True)
    op.create_index(_START, "worklist_items", ["scheduled_start_date", "scheduled_start_time"])
