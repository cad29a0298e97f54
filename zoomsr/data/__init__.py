"""From photographs on disk to batches of pairs: sources -> store -> pairs -> datamodule."""
