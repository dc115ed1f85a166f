"""Figures: arrays in, matplotlib figures out. Nothing else of the project is known here."""
