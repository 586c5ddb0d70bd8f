"""Jobs as OpenAI's objects and events. Pure: no request, no store."""
