"""What is run (a cell, a grid of them) and what is left of it (result, store, cache): only data."""
