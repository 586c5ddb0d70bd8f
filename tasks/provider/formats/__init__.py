"""How a job's request becomes a provider call, and how the provider's stream becomes Deltas. Pure.

request ── route ──────────────> ProviderCall(path, body, parser)
data of the stream ── parser ──> Delta

The wire format itself is in `openai_format`. This package adds Deltas, the size budget, and the errors that end an
attempt.
"""
