"""Reports and HTML pages."""
