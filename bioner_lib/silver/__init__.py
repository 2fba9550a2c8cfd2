"""Dictionaries -> labels that nobody checked: terms, lexicons, labelling, quality, denoising."""
