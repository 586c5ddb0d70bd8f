-- document_purge: removes the record of a deleted document whose file and chunks have been removed.
-- include: clock record
-- KEYS
--   document       the record
--   documents      the tenant's documents
--   tombstones
--   bytes          the size of all documents
-- ARGV
--   id
--   recheck_ms     until cleanup checks once more: a late writer may still commit chunks or store a file
-- returns  purged
--          live: the document is not being deleted
--          gone: there is no record
-- Safe to send again.
local state, size = unpack(redis.call('HMGET', document, 'state', 'size'))
if not state then
  return 'gone'
end
if state ~= 'deleting' then
  return 'live'
end
redis.call('DEL', document)
redis.call('ZREM', documents, id)
redis.pcall('HINCRBY', bytes, 'documents', is_number(size) and -size or 0) -- what is damaged is counted again
redis.call('ZADD', tombstones, now_ms() + recheck_ms, id)
return 'purged'
