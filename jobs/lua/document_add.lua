-- document_add: create a document, or find the one that has the same content.
-- include: clock
-- KEYS  1 document  2 documents of the tenant  3 document of that content  4 seq  5 leftovers
-- ARGV  1 id  2... field, value of the record
-- answers  {added, id}  {existing, id of the one that was there}  {late, id}: the announced time is over, nothing was
--          written and the file may be gone
-- Safe to send again.
local id = redis.call('GET', KEYS[3])
if id then
  return {id == ARGV[1] and 'added' or 'existing', id}
end
local announced_until = redis.call('ZSCORE', KEYS[5], ARGV[1])
if not announced_until or tonumber(announced_until) <= now_ms() then
  return {'late', ARGV[1]}
end
redis.call('ZREM', KEYS[5], ARGV[1])
local seq = redis.call('INCR', KEYS[4])
redis.call('HSET', KEYS[1], 'state', 'ingesting', 'seq', seq, 'created_at_ms', now_ms(), unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], seq, ARGV[1])
redis.call('SET', KEYS[3], ARGV[1])
return {'added', ARGV[1]}
