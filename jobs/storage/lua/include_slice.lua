-- slice(list, first, last): that part of a list. Unlike unpack it takes any number of values.
local function slice(list, first, last)
  if last - first < 1000 then
    return {unpack(list, first, last)}
  end
  local part = {}
  for i = first, last do
    part[i - first + 1] = list[i]
  end
  return part
end
