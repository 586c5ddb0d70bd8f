"""Reads a file in a separate process: text by page, and the pages split into chunks."""
