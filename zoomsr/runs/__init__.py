"""A run's directory: its files, settings and status, readable without torch."""
