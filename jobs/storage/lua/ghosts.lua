-- ghosts: which of these ids have no record, though it has not expired. An index should not contain them.
-- include: clock
-- KEYS
--   expiry
--   records...
-- ARGV
--   ids...
-- returns  the ids without a record; not those whose record has just expired, which clear_indexes removes
-- Safe to send again: it only reads.
local now, missing = now_ms(), {}
for i, record in ipairs(records) do
  if redis.call('EXISTS', record) == 0 and tonumber(redis.call('ZSCORE', expiry, ids[i]) or now + 1) > now then
    missing[#missing + 1] = ids[i]
  end
end
return missing
