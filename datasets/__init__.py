"""Data sets as NumPy arrays, each with a record of where its bytes came from."""
