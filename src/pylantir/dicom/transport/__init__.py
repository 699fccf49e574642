"""The socket under an association: the only package that touches private parts of pynetdicom.

Checked against pynetdicom 3.0.4; ``tests/dicom/transport`` fails when an upgrade moves one of them.

========================  ==========================================================================
``admission``             accepts, reads one association request, closes; a single thread
``slots``                 how many associations who may have
``association``           one accepted association, on a thread of its own
``openings``              association requests that were accepted before
``blank``                 what the library's constructors make, made once
``threads``, ``lines``    threads that are used again; queues without locks
``upper_layer``           its state machine (PS3.8);  ``peer_socket``  its socket
``server``                ties these together
``dimse``                 its messages;  ``requests``  those that were read before
``commands``              those that begin or change an instance, and their answers
``messages``              what handlers do to their association
``cancellations``         which queries were cancelled
========================  ==========================================================================
"""
