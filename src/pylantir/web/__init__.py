"""The page on the workstation: the day at a glance, and what to do about it.

Templates are filled on the server; a little script keeps them fresh. The page has no other door
than the API: it calls the functions behind the API's routes, with the same rights, checks and
audit trail.
"""

from __future__ import annotations
