"""What the tests of a repository need to run: read from its files, and put in place."""
