"""What runs in the suite's process: standard library only, sent along as text in the tree.

Nothing here holds a verdict. It writes down calls and their results, and whoever reads that takes
it for claims: the code under test shares the process.
"""
