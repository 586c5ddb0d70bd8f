-- document_forget: removes what still refers to a document without a record.
-- KEYS
--   document          the record
--   documents         the tenant's documents
--   document_by_hash  the document with some content
-- ARGV
--   id
-- returns  forgotten
--          live: the document has a record, and nothing was removed
-- Safe to send again.
if redis.call('EXISTS', document) == 1 then
  return 'live'
end
redis.call('ZREM', documents, id)
if redis.call('GET', document_by_hash) == id then
  redis.call('DEL', document_by_hash)
end
return 'forgotten'
