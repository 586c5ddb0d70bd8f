"""Reading a file in a process of its own: text by page, and the pages cut into chunks."""
