"""The peers, each as its own documentation shows it: tasks in one file, a web front in another.

They run in processes of their own, so nothing here is imported by the benchmark itself. Where a peer is asynchronous
it uses the SDK's aiohttp transport, as chatqueue does: the cheapest that the SDK has.
"""
