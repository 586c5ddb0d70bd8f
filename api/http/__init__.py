"""HTTP plumbing shared by all blueprints: validation, problems, long polling, streams, uploads."""
