-- document_edit: changes what the owner of a document may choose: its filename, its tags.
-- KEYS
--   document   the record
-- ARGV
--   fields...  field, value, ... of the record
-- returns  edited
--          gone: the document does not exist, or is being deleted
-- Safe to send again.
local state = redis.call('HGET', document, 'state')
if not state or state == 'deleting' then
  return 'gone'
end
redis.call('HSET', document, unpack(fields))
return 'edited'
