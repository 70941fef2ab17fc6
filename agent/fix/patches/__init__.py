"""Patches as models write them: one module for each format, exactly applied or not at all."""
