"""The audit trail: who asked for and who changed what (PS3.15 A.5).

A file of its own beside the database, one JSON line an event, each line with the hash of the one
before. It may name participants, which the ordinary log never does.
"""
