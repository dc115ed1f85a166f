"""Serving: one verified scorer file, and the commands that score tables and live series with it."""
