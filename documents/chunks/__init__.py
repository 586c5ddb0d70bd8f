"""Chunks and their vectors in LanceDB: storing, searching, index maintenance."""
