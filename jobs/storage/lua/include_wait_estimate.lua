-- estimate_wait_ms(position, minutes, elapsed): how long a job at this queue position may wait, at the rate at which
-- jobs have recently ended; -1 if none has.
-- minutes: the counts of the current minute and of the one before. elapsed: ms since the current minute began.
local function estimate_wait_ms(position, minutes, elapsed)
  if position == 0 then
    return 0
  end
  local ended, duration_ms = 0, tonumber(elapsed)
  for i, minute in ipairs(minutes) do
    local counts, before = redis.call('HMGET', minute, 'completed', 'incomplete', 'failed', 'cancelled'), ended
    for j = 1, 4 do
      ended = ended + (counts[j] or 0)
    end
    if i > 1 and ended > before then
      duration_ms = duration_ms + 60000
    end
  end
  return ended > 0 and math.ceil(position * duration_ms / ended) or -1
end
