-- count(totals, minute, name, kind): increments a counter, both in this minute and over all time. That over all time is
-- kept by kind of job, if the kind is known.
local function count(totals, minute, name, kind)
  redis.call('HINCRBY', totals, kind and name .. ':' .. kind or name, 1)
  if redis.call('HINCRBY', minute, name, 1) == 1 then
    redis.call('EXPIRE', minute, 3600)
  end
end
