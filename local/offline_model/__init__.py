"""An OpenAI-compatible server that is no model and misbehaves on request: for `make up`, tests, bench."""
