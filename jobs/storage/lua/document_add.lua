-- document_add: creates a document, or finds the one with the same content, if there is room for its bytes.
-- include: clock tenant_index
-- KEYS
--   namespace
--   document          the record
--   documents         the tenant's documents
--   document_by_hash  the document with this content
--   seq
--   bytes             the size of all documents
-- ARGV
--   id
--   tenant
--   size              of the document
--   max_bytes         maximum size of all documents
--   fields...         field, value, ... of the record
-- returns  {id of the document with this content}: of the new one, or of the one that existed
--          {'', size}: nothing was written; with this document, the documents would have that size
-- Safe to send again.
local existing_id = redis.call('GET', document_by_hash)
if existing_id then
  return {existing_id}
end
local total_bytes = redis.call('HINCRBY', bytes, 'documents', size)
if total_bytes > tonumber(max_bytes) then
  redis.call('HINCRBY', bytes, 'documents', -size)
  return {'', string.format('%.0f', total_bytes)}
end
local order = redis.call('INCR', seq)
redis.call('HSET', document, 'state', 'ingesting', 'seq', order, 'created_at_ms', now_ms(), unpack(fields))
redis.call('ZADD', documents, order, id)
note_tenant(tenant, order)
add_bytes(tenant, 'documents', size)
redis.call('SET', document_by_hash, id)
return {id}
