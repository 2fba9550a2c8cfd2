"""Sentences -> tensors -> spans."""
