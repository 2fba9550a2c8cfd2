"""Rows -> tables -> figures."""
