"""OpenAI's wire format in one place: pure functions and small state machines over JSON objects.

The API encodes jobs with it, the provider adapter reads and writes provider calls with it, and the offline model
answers with it. It imports no other package of chatqueue. The SDK's types are imported for type checkers only,
because the web process must not load the SDK.

items, events, completions, usage     constructors and readers of the objects on the wire
messages                              messages <-> items
chat_request                          the request of a response -> the request of a chat completion
response_accumulator                  events -> items
completion_accumulator                chunks -> chat completion
chunk_converter                       chunks -> events
compaction                            a summary <-> the item that stands for a conversation
tools                                 the tools of a response <-> functions of a chat completion
function_calls, call_item, text,      shared by the modules above
errors, types
"""
