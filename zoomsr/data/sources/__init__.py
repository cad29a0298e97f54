"""Where images come from: photographs, synthetic images, streams."""
