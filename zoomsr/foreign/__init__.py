"""Nets of other projects: ONNX files, and files of PyTorch's that spandrel knows, with the contract of our own."""
