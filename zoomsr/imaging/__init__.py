"""Images: tensors (pixels, resize, degradations) and image files (decode, encode, metadata)."""
