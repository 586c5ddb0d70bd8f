-- now_ms(): the server's own time, so that no worker's clock matters.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
