"""Packed sets: every image of a set in one memory-mapped file."""
