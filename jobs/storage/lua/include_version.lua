-- version_after(version): of the record that has this one; a damaged version starts again.
local function version_after(version)
  return is_number(version) and version + 1 or 1
end

-- next_version(key): increments the version of a record; a damaged version starts again.
local function next_version(key)
  if type(redis.pcall('HINCRBY', key, 'version', 1)) == 'table' then
    redis.call('HSET', key, 'version', 1)
  end
end
