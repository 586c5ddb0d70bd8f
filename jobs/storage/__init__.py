"""Where jobs are stored: commands, Lua scripts, keys, and the stores that send commands to Redis."""
