"""The REST API: the worklist over HTTP, for people's programs and for the page.

Routes are thin: role, schema, the same query type and the same store as everywhere, schema.
"""

from __future__ import annotations
