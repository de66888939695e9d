"""A HIS' billing side: bills, holds, settlements, deposits, admissions, slots; books of its own, and two faces."""

from deploy.sandbox.billing.books import Books
from deploy.sandbox.billing.party import Billing

__all__ = ["Billing", "Books"]
