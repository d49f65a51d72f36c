"""Jinja2 texts. No logic."""
