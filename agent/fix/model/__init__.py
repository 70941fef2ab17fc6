"""Patches by a model: what it is asked, how its answers are read, and the search over them."""
