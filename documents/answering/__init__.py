"""From a question to a cited answer: search query, sources, prompt, citations. Pure functions, no I/O."""
