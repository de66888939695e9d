"""DICOM: kind `dicom`. Images and performed steps come in, images go out. Both sides stand in `endpoints/imaging/`."""

from __future__ import annotations

from config import registry
from endpoints.imaging.destination import DicomDestination
from endpoints.imaging.source import DicomSource

registry.source("dicom")(DicomSource)
registry.destination("dicom")(DicomDestination)
