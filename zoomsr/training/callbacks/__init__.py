"""Callbacks: results, curves, pictures, progress, checkpoints, guard, limits."""
