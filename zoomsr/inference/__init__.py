"""Inference on photographs: whole, tiled, in batches, out of core; export of trained nets."""
