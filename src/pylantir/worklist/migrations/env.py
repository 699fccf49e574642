"""What alembic runs: the migrations, inside the transaction it is handed."""

from __future__ import annotations

from alembic import context

from pylantir.worklist.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction holds everything
)
context.run_migrations()
