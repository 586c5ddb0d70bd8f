"""Documents: what one is, and how it is received, read, cut, kept, searched and quoted."""
