"""Benchmarks that compare with other ways to do the same work; nothing of the product is here."""
