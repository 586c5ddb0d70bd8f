-- document_forget: the last trace of a document whose file and chunks are gone.
-- KEYS  1 document
-- ARGV  none
-- answers  forgotten | wanted: it is not being deleted  gone
-- Safe to send again.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'gone'
end
if state ~= 'deleting' then
  return 'wanted'
end
redis.call('DEL', KEYS[1])
return 'forgotten'
