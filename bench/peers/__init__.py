"""The peers, each written as its documentation shows: tasks in one file, the web front in another.

They run in separate processes; the benchmark itself imports none of them. An asynchronous peer uses the SDK's aiohttp
transport, as chatqueue does, because it needs the least CPU.
"""
