-- audit_sizes: corrects the sizes in `bytes` after a fault of Redis or of another version.
-- A size is known only while there is not much to add up. One that is too high lets the queue become shorter.
-- include: record
-- KEYS
--   namespace          prefix of the keys of records
--   queued_index
--   in_progress_index
--   documents          the tenant's documents
--   bytes              the sizes of all requests that count, and of all documents
-- returns  {1 if the size of the requests was corrected, 1 if that of the documents was}
-- Safe to send again.
local MAX_SUMMED = 1000 -- in about 1 ms

-- A request counts until its job has ended; without a readable record, until its job is deleted.
local function request_size(id)
  local size = redis.pcall('HGET', namespace .. 'job:' .. id, 'request_bytes')
  if type(size) == 'string' then
    return is_number(size) and tonumber(size) or 0
  end
  local is_unreadable = type(size) == 'table' or redis.call('EXISTS', namespace .. 'job:' .. id) == 0
  local body = is_unreadable and redis.pcall('GET', namespace .. 'request:' .. id)
  return type(body) == 'string' and #body or 0
end

local function document_size(id)
  local size = redis.pcall('HGET', namespace .. 'document:' .. id, 'size')
  return type(size) == 'string' and is_number(size) and tonumber(size) or 0
end

-- correct(field, size_of, index, ...): returns 1 if the size was wrong.
local function correct(field, size_of, ...)
  local entries, total = 0, 0
  for _, index in ipairs({...}) do
    entries = entries + redis.call('ZCARD', index)
  end
  if entries > MAX_SUMMED then
    return 0
  end
  for _, index in ipairs({...}) do
    for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
      total = total + size_of(id)
    end
  end
  local counted, right = redis.pcall('HGET', bytes, field), string.format('%.0f', total)
  if counted == right or not counted and total == 0 then
    return 0
  end
  if type(counted) == 'table' then -- the key has another type
    redis.call('DEL', bytes)
  end
  redis.call('HSET', bytes, field, right)
  return 1
end

return {correct('requests', request_size, queued_index, in_progress_index),
  correct('documents', document_size, documents)}
