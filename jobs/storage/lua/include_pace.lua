-- wait_ms(place, minutes, elapsed): how long who has that place in line may have to wait, as jobs ended lately.
-- minutes: the counts of the running minute and of the one before; elapsed: ms since the running one began.
-- -1: nobody can tell, since no job has ended.
local function wait_ms(place, minutes, elapsed)
  if place == 0 then
    return 0
  end
  local ended, over = 0, tonumber(elapsed)
  for i, minute in ipairs(minutes) do
    local counts, before = redis.call('HMGET', minute, 'completed', 'incomplete', 'failed', 'cancelled'), ended
    for j = 1, 4 do
      ended = ended + (counts[j] or 0)
    end
    if i > 1 and ended > before then
      over = over + 60000
    end
  end
  return ended > 0 and math.ceil(place * over / ended) or -1
end
