"""The page in the browser: what it shows, what its clicks do, and who may ask for what."""
