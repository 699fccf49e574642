"""Pylantir: a DICOM Modality Worklist and MPPS server for MRI research centres.

Nothing happens on import. ``pylantir.daemon`` builds the parts, ``pylantir.cli`` is the door.
"""
