"""Terminals that take money themselves (自助机): a bank's POS (MISPOS) and a cash box. They say what they took."""
