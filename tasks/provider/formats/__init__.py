"""How a job's request becomes a provider call, and how the provider's stream becomes Deltas. Pure.

request ── route ──────────────> ProviderCall(path, body, parser)
data of the stream ── parser ──> Delta

The wire format itself is in `openai_format`. Here stands what is ours: Deltas, the size budget, and which errors end
an attempt.
"""
