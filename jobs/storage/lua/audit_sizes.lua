-- audit_sizes: corrects the sizes in `bytes` after a fault of Redis or of another version.
-- A size is known only while there is not much to add up. One that is too high lets the queue become shorter.
-- include: record tenant_index
-- KEYS
--   namespace          prefix of the keys of records
--   queued_index
--   in_progress_index
--   bytes              the sizes of all requests that count, and of all documents; the same of each tenant
--   documents...       the documents of each tenant
-- returns  {1 if a size of requests was corrected, 1 if one of documents was}
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

local function tenant_of_job(id)
  return redis.call('HGET', namespace .. 'tenant-of', id)
end

local function document_size(id)
  local size = redis.pcall('HGET', namespace .. 'document:' .. id, 'size')
  return type(size) == 'string' and is_number(size) and tonumber(size) or 0
end

local function tenant_of_document(id)
  local tenant = redis.pcall('HGET', namespace .. 'document:' .. id, 'tenant')
  return type(tenant) == 'string' and has_own_index(tenant) and tenant
end

-- sums(field, size_of, tenant_of, indexes): the right sizes by field, of all and of each tenant; nil if there is too
-- much to add up.
local function sums(field, size_of, tenant_of, indexes)
  local entries, right = 0, {[field] = 0}
  for _, tenant in ipairs(redis.call('ZRANGE', namespace .. 'tenants-seen', 0, -1)) do
    right[field .. ':' .. tenant] = 0
  end
  for _, index in ipairs(indexes) do
    entries = entries + redis.call('ZCARD', index)
  end
  if entries > MAX_SUMMED then
    return nil
  end
  for _, index in ipairs(indexes) do
    for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
      local size, tenant = size_of(id), tenant_of(id)
      right[field] = right[field] + size
      if tenant then
        right[field .. ':' .. tenant] = (right[field .. ':' .. tenant] or 0) + size
      end
    end
  end
  return right
end

-- correct(right): returns 1 if one of these sizes was wrong.
local function correct(right)
  local corrected = 0
  for field, total in pairs(right or {}) do
    local counted, size = redis.pcall('HGET', bytes, field), string.format('%.0f', total)
    if type(counted) == 'table' then -- the key has another type
      redis.call('DEL', bytes)
    end
    if counted ~= size and (counted or total ~= 0) then
      redis.call('HSET', bytes, field, size)
      corrected = 1
    end
  end
  return corrected
end

return {correct(sums('requests', request_size, tenant_of_job, {queued_index, in_progress_index})),
  correct(sums('documents', document_size, tenant_of_document, documents))}
