-- count(totals, minute, what): adds one to a counter, both since the beginning and in this minute.
local function count(totals, minute, what)
  redis.call('HINCRBY', totals, what, 1)
  redis.call('HINCRBY', minute, what, 1)
  redis.call('EXPIRE', minute, 3600)
end
