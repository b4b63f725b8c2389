"""Writes what is derived: reference documentation, type stubs, the page on parity."""
