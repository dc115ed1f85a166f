"""Texts: bags of words and word pairs, and the task that tells positive from negative texts."""
