"""HL7 v2 in ER7 form: reading, paths, building, answering. `schemas.hl7v2` is the door to it."""
