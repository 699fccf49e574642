"""The type ``redcap_concussion`` of published configurations: REDCap with variables of its own.

New configurations say ``credentials`` instead, and need no type for each project.
"""

from __future__ import annotations

from pylantir.sources.redcap import RedcapSource
from pylantir.sources.redcap_settings import Credentials


class RedcapConcussionSource(RedcapSource):
    """Bookings of a second project, whose secrets stand in variables of their own."""

    default_credentials = Credentials(
        url_env="REDCAP_API_URL_CONCUSSION",
        token_env="REDCAP_API_TOKEN_CONCUSSION",  # noqa: S106
    )


SOURCE = RedcapConcussionSource
