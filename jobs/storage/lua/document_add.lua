-- document_add: creates a document, or finds the one with the same content.
-- include: clock
-- KEYS
--   document          the record
--   documents         the tenant's documents
--   document_by_hash  the document with this content
--   seq
-- ARGV
--   id
--   fields...         field, value, ... of the record
-- returns  the id of the document with this content: the new one, or the one that existed
-- Safe to send again.
local existing_id = redis.call('GET', document_by_hash)
if existing_id then
  return existing_id
end
local order = redis.call('INCR', seq)
redis.call('HSET', document, 'state', 'ingesting', 'seq', order, 'created_at_ms', now_ms(), unpack(fields))
redis.call('ZADD', documents, order, id)
redis.call('SET', document_by_hash, id)
return id
