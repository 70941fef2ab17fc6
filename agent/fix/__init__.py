"""Repair of a repository whose tests fail: targets, suspects, candidates, proof, report."""
