"""A job's events as server-sent events: one engine, and one encoder for each format that clients read."""
