-- document_purge: the last trace of a document whose file and chunks have been removed.
-- include: clock
-- KEYS  1 document  2 documents of the tenant  3 tombstones
-- ARGV  1 id  2 after how long to look once more, ms: who commits chunks or keeps a file right now does not know yet
-- answers  purged | live: it is not being deleted  gone
-- Safe to send again.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'gone'
end
if state ~= 'deleting' then
  return 'live'
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now_ms() + ARGV[2], ARGV[1])
return 'purged'
