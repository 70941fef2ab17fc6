"""A process reward that is learned from one's own journals, beside the partial pass rate."""
