"""Evaluation: nets on benchmark sets."""
