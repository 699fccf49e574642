"""A server with some bookings, and the commands that play a scanner to it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt
from tests.standins.dicom_server import answer, server

from pylantir.cli import scanner
from pylantir.dicom import scu


def parse(command: str, *argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in ("--ae-title", "--ip", "--calling-ae-title", "--config"):
        parser.add_argument(option)
    parser.add_argument("--port", type=int)
    parser.set_defaults(verbose=0, quiet=0)
    if command == "test-client":
        scanner.configure_test_client(parser)
    else:
        scanner.configure_test_mpps(parser)
    return parser.parse_args(argv)


def run(command: str, peer: scu.Peer | None, *argv: str) -> int:
    port = ["--port", str(peer.port)] if peer else []
    args = parse(command, *port, *argv)
    return (scanner.run_test_client if command == "test-client" else scanner.run_test_mpps)(args)


def booking(**changes: str) -> Dataset:
    keys = {
        "PatientName": "Müller^Zoé",
        "PatientID": "P1",
        "AccessionNumber": "A1",
        "StudyInstanceUID": "1.2.3",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStartDate": "20260304",
        "ScheduledProcedureStepStartTime": "090500",
        "ScheduledStationAETitle": "PRISMA",
        "ScheduledProcedureStepDescription": "Brain 3T",
        "Modality": "MR",
        "PatientWeight": "71.5",
    }
    return scu.build_identifier(keys | changes)


class Site:
    """A server with some bookings and a memory for steps; it keeps what it was asked."""

    def __init__(self, *bookings: Dataset, pending: int = 0xFF00) -> None:
        self.bookings = bookings
        self.pending = pending
        self.asked: list[Dataset] = []
        self.steps: dict[str, Dataset] = {}
        self.updates: list[Dataset] = []
        self.frozen = True

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        self.asked.append(event.identifier)
        for item in self.bookings:
            yield self.pending, item

    def create(self, event: evt.Event) -> tuple[int, Dataset]:
        self.steps[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, event.attribute_list

    def change(self, event: evt.Event) -> tuple[Any, Dataset | None]:
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        if step is None:
            return 0x0112, None
        if self.frozen and step.PerformedProcedureStepStatus != "IN PROGRESS":
            return answer(0x0110, ErrorID=0xA710), None
        self.updates.append(event.modification_list)
        step.update(event.modification_list)
        return 0x0000, event.modification_list

    def show(self, event: evt.Event) -> tuple[int, Dataset]:
        return 0x0000, self.steps[event.request.RequestedSOPInstanceUID]

    @contextmanager
    def serve(self, **settings: Any) -> Iterator[scu.Peer]:
        handlers = [
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.change),
            (evt.EVT_N_GET, self.show),
        ]
        with server(handlers, **settings) as peer:
            yield peer
