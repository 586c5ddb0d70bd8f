"""The requests and responses of the native API, with their descriptions and examples."""
