-- read_record(key, field, ...): these fields of a hash, by name; false where the hash lacks one, nil if it is no hash.
local function read_record(key, ...)
  local values, record = redis.pcall('HMGET', key, ...), {}
  for i, field in ipairs({...}) do
    record[field] = values[i]
  end
  return record
end

-- is_number(value): whether a field is a whole number, as this version writes it.
local function is_number(value)
  return value and value:match('^%-?%d+$') and #value <= 15
end
