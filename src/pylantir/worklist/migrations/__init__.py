"""Schema migrations (alembic), applied at start by :mod:`pylantir.worklist.schema`."""
