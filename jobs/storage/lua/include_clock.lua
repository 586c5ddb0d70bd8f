-- now_ms(): the server's own time, so that no worker clock matters. It stands still while a script runs.
local script_time_ms
local function now_ms()
  if not script_time_ms then
    local seconds, microseconds = unpack(redis.call('TIME'))
    script_time_ms = seconds * 1000 + math.floor(microseconds / 1000)
  end
  return script_time_ms
end
