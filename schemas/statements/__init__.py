"""Statements of payment channels and of the hospital's own books (对账单): bytes to rows that can be compared."""
