-- document_add: create a document, or find the one that has the same content.
-- include: clock
-- KEYS  1 document  2 documents of the tenant  3 document of that content  4 seq
-- ARGV  1 id  2... field, value of the record
-- answers  the id of the document that has the content: the new one, or the one that was there
-- Safe to send again.
local id = redis.call('GET', KEYS[3])
if id then
  return id
end
local seq = redis.call('INCR', KEYS[4])
redis.call('HSET', KEYS[1], 'state', 'ingesting', 'seq', seq, 'created_at_ms', now_ms(), unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], seq, ARGV[1])
redis.call('SET', KEYS[3], ARGV[1])
return ARGV[1]
