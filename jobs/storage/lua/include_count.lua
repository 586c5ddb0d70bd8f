-- count(totals, minute, name): increments a counter, both over all time and in this minute.
local function count(totals, minute, name)
  redis.call('HINCRBY', totals, name, 1)
  if redis.call('HINCRBY', minute, name, 1) == 1 then
    redis.call('EXPIRE', minute, 3600)
  end
end
