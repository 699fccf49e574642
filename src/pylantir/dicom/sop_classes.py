"""SOP classes and transfer syntaxes that Pylantir speaks (PS3.4 A, F, K; PS3.5 10)."""

from __future__ import annotations

from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

VERIFICATION = UID("1.2.840.10008.1.1")
WORKLIST_FIND = UID("1.2.840.10008.5.1.4.31")
MPPS = UID("1.2.840.10008.3.1.2.3.3")
MPPS_RETRIEVE = UID("1.2.840.10008.3.1.2.3.4")

SOP_CLASSES = (VERIFICATION, WORKLIST_FIND, MPPS, MPPS_RETRIEVE)

TRANSFER_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Never deflated: 250 KB of it become 770 MB."""
