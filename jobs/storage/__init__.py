"""Where jobs are stored: commands, Lua scripts, keys, and the stores that carry commands to Redis."""
