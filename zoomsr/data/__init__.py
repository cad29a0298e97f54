"""From photographs on disk to batches of pairs: sources -> packed store -> patches -> datamodule."""
