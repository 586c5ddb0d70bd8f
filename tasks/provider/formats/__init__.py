"""What is said to a provider and how its words are read: pure, one file for each way of speaking.

request ── route ──> ProviderCall(path, body, parser)      what to send, and who reads what comes back
the stream's data ── StreamParser ──> Delta                 what every conversation is made of
"""
