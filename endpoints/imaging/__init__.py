"""DICOM over a network (PS3.7, PS3.8): the door, what comes in by it, what goes out, and the worklist."""
