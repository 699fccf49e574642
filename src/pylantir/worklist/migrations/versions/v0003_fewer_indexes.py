"""Indexes by status go: no question was answered faster, and every scan had to renew them.

Nearly all rows have one of two statuses, so SQLite reads them by their start; an N-SET wrote four
of its eight pages for these two.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_index("ix_worklist_items_status", "worklist_items", if_exists=True)
    op.drop_index("ix_performed_steps_status", "performed_steps", if_exists=True)
