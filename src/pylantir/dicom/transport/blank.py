"""What the library's constructors make, made once for all associations of an AE.

They make threads that are never started, queues that never wait, and ask the name service about
numbers: more than half a millisecond for each scanner that comes.
"""

from __future__ import annotations

from typing import Any

from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association, ServiceUser
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import StateMachine
from pynetdicom.timer import Timer
from pynetdicom.transport import AddressInformation

from pylantir.dicom.transport.lines import Line

Where = tuple[str, int] | tuple[str, int, int, int]
"""Host, port, and for IPv6 flow and scope."""


class Address(AddressInformation):
    """The address of a socket: no name that would have to be looked up."""

    def __init__(self, where: Where) -> None:
        self._addr, self.port = where[:2]
        self.flowinfo, self.scope_id = where[2:] if len(where) == 4 else (0, 0)


class Blank:
    """An association that nobody has asked for; others are made like it.

    Parameters
    ----------
    ae : AE
        Complete: what is changed of it later has no effect.
    """

    def __init__(self, ae: AE) -> None:
        made = Association(ae, MODE_ACCEPTOR)
        acceptor = made.acceptor
        acceptor.ae_title = ae.ae_title
        acceptor.maximum_length = ae.maximum_pdu_size
        acceptor.implementation_class_uid = ae.implementation_class_uid
        acceptor.implementation_version_name = ae.implementation_version_name
        acceptor.supported_contexts = ae.supported_contexts
        self._association, self._layer = vars(made), vars(made.dul)
        self._requestor, self._acceptor = vars(made.requestor), vars(acceptor)

    def copy_to(self, association: Association, peer: Where, local: Where) -> None:
        """Make a new object what the constructor would have made it, service providers aside."""
        vars(association).update(self._association)
        association._accepted_cx = {}
        association._rejected_cx = []
        association.requestor = _user(self._requestor, association, peer)
        association.acceptor = _user(self._acceptor, association, local)

    def copy_to_layer(self, layer: DULServiceProvider, association: Association) -> None:
        """Likewise for its upper layer."""
        vars(layer).update(self._layer)
        layer._assoc = association
        new: Any = layer
        new.event_queue, new.to_provider_queue = Line(), Line()
        new.to_user_queue, new._recv_pdu = Line(), Line()
        layer.artim_timer = Timer(association.acse_timeout)
        layer._idle_timer = Timer(association.network_timeout)
        layer.state_machine = StateMachine(layer)


def _user(fields: dict[str, Any], association: Association, where: Where) -> ServiceUser:
    user = ServiceUser.__new__(ServiceUser)
    vars(user).update(fields)
    user.assoc = association
    user.address_info = Address(where)
    user._contexts, user._user_info = list(user._contexts), list(user._user_info)
    user._ext_neg = {kind: list(items) for kind, items in user._ext_neg.items()}
    user._common_ext = {}
    return user
