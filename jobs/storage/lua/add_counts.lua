-- add_counts: adds the counts of one process to those of all.
-- KEYS
--   metrics    the counts of all processes
--   latest     the number of the process' latest addition
-- ARGV
--   number     of this addition
--   counts...  field, amount, ...
-- returns  nothing
-- Safe to send again: an addition counts once.
if tonumber(redis.call('GET', latest) or 0) >= tonumber(number) then
  return
end
redis.call('SET', latest, number, 'EX', 3600)
for i = 1, #counts, 2 do
  redis.call('HINCRBY', metrics, counts[i], counts[i + 1])
end
