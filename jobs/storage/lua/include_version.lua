-- next_version(key): increments the version of a record; a damaged version starts again.
local function next_version(key)
  if type(redis.pcall('HINCRBY', key, 'version', 1)) == 'table' then
    redis.call('HSET', key, 'version', 1)
  end
end
