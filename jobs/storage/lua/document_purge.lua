-- document_purge: removes the record of a deleted document whose file and chunks have been removed.
-- include: clock record tenant_index
-- KEYS
--   namespace
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
local state, size, tenant = unpack(redis.call('HMGET', document, 'state', 'size', 'tenant'))
if not state then
  return 'gone'
end
if state ~= 'deleting' then
  return 'live'
end
redis.call('DEL', document)
redis.call('ZREM', documents, id)
local freed = is_number(size) and -size or 0
redis.pcall('HINCRBY', bytes, 'documents', freed) -- what is damaged is counted again
add_bytes(tenant, 'documents', freed)
redis.call('ZADD', tombstones, now_ms() + recheck_ms, id)
return 'purged'
