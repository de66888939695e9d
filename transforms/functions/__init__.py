"""The pipe functions, a file for each kind of value. They register themselves when they are imported.

Every docstring is the manual's entry, and its examples are run as tests, as Python and as pipes. The first
sentence of a module is the title of its group. `transforms/pipes.py` says how a signature is read.
"""

from transforms.functions import (
    absent,
    addresses,
    bytes,
    checked,  # noqa: F401  (what is wrong with arguments)
    dates,
    deposits,
    encodings,
    forms,
    identifiers,
    lists,
    money,
    names,
    numbers,
    patterns,
    quantities,
    registrations,
    resources,
    sums,
    telephones,
    text,
    times,
)

# In the order of the manual.
GROUPS = (
    absent,
    text,
    patterns,
    bytes,
    encodings,
    identifiers,
    lists,
    sums,
    numbers,
    quantities,
    money,
    deposits,
    dates,
    forms,
    times,
    names,
    addresses,
    registrations,
    telephones,
    resources,
)
