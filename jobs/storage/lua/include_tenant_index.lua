-- The indexes of a tenant: its jobs by state. The default tenant has none, since mostly it is the only one: its jobs are
-- those of the indexes of all jobs that belong to no other tenant. So a service without tenants pays nothing.
-- Needs `namespace`. State, see keys.py: tenant-index, tenant-of, tenants-seen, bytes.
local STATES = {'queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled'}

local function tenant_index(tenant, state)
  return table.concat({namespace .. 'tenant-index', tenant, state}, ':')
end

-- has_own_index(tenant): false for a name that no create has written, which is damaged.
local function has_own_index(tenant)
  return tenant and tenant ~= 'default' and redis.call('ZSCORE', namespace .. 'tenants-seen', tenant)
end

-- move_in_index(tenant, id, order, state): the job is in this state now.
local function move_in_index(tenant, id, order, state)
  if not has_own_index(tenant) then
    return
  end
  redis.call('ZREM', tenant_index(tenant, 'queued'), id)
  redis.call('ZREM', tenant_index(tenant, 'in_progress'), id)
  redis.call('ZADD', tenant_index(tenant, state), order, id)
  redis.call('ZADD', tenant_index(tenant, 'all'), order, id) -- again, in case it was lost
end

-- note_tenant(tenant, order): before the first job or document of a tenant.
local function note_tenant(tenant, order)
  if tenant ~= 'default' then
    redis.call('ZADD', namespace .. 'tenants-seen', 'NX', order, tenant)
  end
end

-- enter_index(tenant, id, order): a new job.
local function enter_index(tenant, id, order)
  if tenant ~= 'default' then
    note_tenant(tenant, order)
    redis.call('HSET', namespace .. 'tenant-of', id, tenant)
    move_in_index(tenant, id, order, 'queued')
  end
end

-- leave_index(id, tenant): a job without a record from now on.
local function leave_index(id, tenant)
  tenant = redis.call('HGET', namespace .. 'tenant-of', id) or tenant
  if has_own_index(tenant) then
    for _, state in ipairs(STATES) do
      redis.call('ZREM', tenant_index(tenant, state), id)
    end
    redis.call('ZREM', tenant_index(tenant, 'all'), id)
    redis.call('HDEL', namespace .. 'tenant-of', id)
  end
end

-- add_bytes(tenant, kind, size): to what all requests or documents of the tenant have together.
local function add_bytes(tenant, kind, size)
  if has_own_index(tenant) then
    redis.pcall('HINCRBY', namespace .. 'bytes', kind .. ':' .. tenant, size) -- the audit counts again what is damaged
  end
end
