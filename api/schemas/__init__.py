"""The shapes of the native API: what requests may contain and what responses contain."""
