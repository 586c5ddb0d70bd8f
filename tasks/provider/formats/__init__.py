"""What is said to a provider and how its words are read: pure, one file for each way of speaking.

request ── call_for ──> Call(path, body, reader)      what to send, and who reads what comes back
the stream's data ── Reader ──> Piece                 what every conversation is made of
"""
