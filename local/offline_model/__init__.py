"""An OpenAI-compatible stub server without a model, which fails on request: for `make up`, tests and bench."""
