"""Cells while they run, one after the other, and how far they are."""
