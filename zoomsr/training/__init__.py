"""Training: recipe, LightningModule, losses, schedules, checkpoints, callbacks."""
