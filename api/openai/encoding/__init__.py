"""Jobs as OpenAI's objects and events. Pure: no request, no store. The wire format itself is in `openai_format`."""
