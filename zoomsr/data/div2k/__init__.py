"""DIV2K: download, check, unpack, pack."""
