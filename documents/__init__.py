"""Documents: receiving, reading, chunking, storing, searching and citing them."""
