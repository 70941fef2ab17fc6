"""Small edits of a program that ask no model: one file a family, all in one registry."""
