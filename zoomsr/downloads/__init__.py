"""Files from the network, each held against its sha256: archives and nets."""
