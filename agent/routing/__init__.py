"""Routing: the right budget for each task."""
