-- document_purge: removes the record of a deleted document whose file and chunks have been removed.
-- include: clock
-- KEYS
--   document       the record
--   documents      the tenant's documents
--   tombstones
-- ARGV
--   id
--   recheck_ms     until cleanup checks once more: a late writer may still commit chunks or store a file
-- returns  purged
--          live: the document is not being deleted
--          gone: there is no record
-- Safe to send again.
local state = redis.call('HGET', document, 'state')
if not state then
  return 'gone'
end
if state ~= 'deleting' then
  return 'live'
end
redis.call('DEL', document)
redis.call('ZREM', documents, id)
redis.call('ZADD', tombstones, now_ms() + recheck_ms, id)
return 'purged'
