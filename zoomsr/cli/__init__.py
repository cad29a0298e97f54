"""Commands: Hydra configuration, command-line overrides, one-line errors, console output."""
