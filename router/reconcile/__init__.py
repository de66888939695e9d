"""Reconciliation (对账): statements of the parties against what the engine, the HIS and the insurance have."""
