"""What the processor or GPU can do."""
