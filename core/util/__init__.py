"""Errors, files, text and the console: what every layer uses."""
