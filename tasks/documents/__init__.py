"""The worker's side of documents: answers from them, which of them may be cited, and the embedding of their chunks."""
