"""The page in the browser: its parts, its steps, and the gate in front of its server."""
