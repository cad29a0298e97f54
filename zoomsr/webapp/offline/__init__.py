"""One HTML file that enlarges photographs in a browser, without a network: ``zoomsr.export --page``."""
