"""Accounts of people and programs: who they are, what they may, how they prove it.

A database of its own (``users.db``), so that the file with password hashes can lie elsewhere than
the worklist. Knows no HTTP: the REST API and the command line are two doors to the same store.
"""

from __future__ import annotations
