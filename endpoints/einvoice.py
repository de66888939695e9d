"""Medical e-invoices (医疗电子票据) of a platform of the 博思 type: kind `einvoice`.

The parts stand in `endpoints/invoice/`.
"""

from __future__ import annotations

from config import registry
from endpoints.invoice.destination import InvoiceDestination

registry.destination("einvoice")(InvoiceDestination)
