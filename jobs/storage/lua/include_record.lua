-- read_record(key, field, ...): these fields of a hash, by name; false where the hash lacks one, nil if it is no hash.
local function read_record(key, ...)
  local values, record = redis.pcall('HMGET', key, ...), {}
  for i, field in ipairs({...}) do
    record[field] = values[i]
  end
  return record
end

-- read_whole(key): all fields of a hash, by name; none if it is no hash. For many fields this is quicker than read_record.
local function read_whole(key)
  local list, record = redis.pcall('HGETALL', key), {}
  for i = 1, #list, 2 do
    record[list[i]] = list[i + 1]
  end
  return record
end

-- is_number(value): whether a field is a whole number, as this version writes it.
local function is_number(value)
  return value and value:match('^%-?%d+$') and #value <= 15
end
