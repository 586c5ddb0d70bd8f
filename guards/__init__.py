"""Guards against hostile pages, bodies and neighbours. Imports none of our packages, so every process can use it."""
