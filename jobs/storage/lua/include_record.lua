-- read_record(key, field, ...): these fields of a hash, by name; false where the hash lacks one.
local function read_record(key, ...)
  local values, record = redis.call('HMGET', key, ...), {}
  for i, field in ipairs({...}) do
    record[field] = values[i]
  end
  return record
end
