"""Triggers that notice rows which other programs write (SQLite)."""

from __future__ import annotations

from sqlalchemy import Connection, text

FOREIGN_WRITE_TRIGGERS = (
    """
CREATE TRIGGER IF NOT EXISTS worklist_items_foreign_write
AFTER UPDATE OF {columns} ON worklist_items
WHEN OLD.version IS NOT NULL
  AND (NEW.version IS OLD.version OR NEW.version IS NOT (SELECT version FROM changes))
BEGIN
  UPDATE worklist_items SET version = NULL, rejected_reason = NULL WHERE id = NEW.id;
END
""",
    """
CREATE TRIGGER IF NOT EXISTS worklist_items_foreign_insert
AFTER INSERT ON worklist_items
WHEN NEW.version IS NOT NULL AND NEW.version IS NOT (SELECT version FROM changes)
BEGIN
  UPDATE worklist_items SET version = NULL, rejected_reason = NULL WHERE id = NEW.id;
END
""",
    # Others delete without foreign keys, and SQLite gives the number to the next row: a step
    # would then be linked to another patient's item.
    """
CREATE TRIGGER IF NOT EXISTS worklist_items_foreign_delete
AFTER DELETE ON worklist_items
BEGIN
  UPDATE performed_step_links SET item_id = NULL, rule = '' WHERE item_id = OLD.id;
END
""",
    """
CREATE TRIGGER IF NOT EXISTS worklist_items_foreign_delete_changes
AFTER DELETE ON worklist_items
BEGIN
  DELETE FROM item_changes WHERE item_id = OLD.id;
END
""",
)
"""Whoever writes a row without raising its version to the newest is not us: it is checked again."""


def install_triggers(connection: Connection, columns: list[str]) -> None:
    """Mark rows that other programs change (SQLite)."""
    if connection.dialect.name == "sqlite":
        quoted = ", ".join(f'"{name}"' for name in columns)
        for trigger in FOREIGN_WRITE_TRIGGERS:
            connection.execute(text(trigger.format(columns=quoted)))
