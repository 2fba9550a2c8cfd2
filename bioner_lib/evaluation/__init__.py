"""Spans -> scores, and whether a difference is more than luck."""
