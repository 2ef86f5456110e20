-- What every Lua state is set up with: the tables that scripts see, and the way in and out.
--
-- Invariant: scripts never get hold of a table of the system's own. What they see is an empty table
-- in front of each, which lets them read and nothing else: stock Lua has no read-only tables, and
-- whatever one script could change the next would find changed.
-- Invariant: no function here reads a global, so that it does not matter whose globals they are.
--
-- `host` are functions of the server. They raise errors of their own, which are no values of Lua's:
-- whoever catches one makes the value of it that it is in Redis.

local host, real = ...

local error, type, tostring, select, next = error, type, tostring, select, next
local pcall, xpcall, rawget, rawset, pairs = pcall, xpcall, rawget, rawset, pairs
local setmetatable, getmetatable, unpack = setmetatable, getmetatable, unpack
local tonumber, collectgarbage = tonumber, collectgarbage

-- From what scripts see of a table to the table.
local behind = {}

local refuse, fail = host.refuse, host.fail

local function protect(table, metatable)
  local shown = setmetatable({}, { __index = table, __newindex = refuse, __metatable = metatable or false })
  behind[shown] = table
  return shown
end

-- Base functions that could see behind.

function real.getmetatable(...)
  local value = ...
  if behind[value] then
    local shown = getmetatable(value)
    return shown or nil
  end
  return getmetatable(...)
end

function real.setmetatable(...)
  if behind[(...)] then refuse() end
  return setmetatable(...)
end

function real.rawset(...)
  if behind[(...)] then refuse() end
  return rawset(...)
end

function real.rawget(table, ...)
  return rawget(behind[table] or table, ...)
end

local function shown_next(table, ...)
  return next(behind[table] or table, ...)
end
real.next = shown_next

function real.pairs(...)
  local table = ...
  if behind[table] then return shown_next, table, nil end
  return pairs(...)
end

-- What was raised, as a value.
local function value_of(thrown)
  if type(thrown) == "userdata" then return host.value_of(thrown) end
  return thrown
end

-- As in Redis an error that a command raised is its text to who catches it.
local function caught(is_done, first, ...)
  if is_done then return true, first, ... end
  first = value_of(first)
  if type(first) == "table" then
    local text = first.err
    if type(text) == "string" or type(text) == "number" then return false, text end
  end
  return false, first
end

function real.pcall(...)
  return caught(pcall(...))
end

function real.xpcall(act, handler)
  return xpcall(act, function(thrown)
    if type(thrown) == "userdata" and host.is_end(thrown) then return thrown end
    return handler(value_of(thrown))
  end)
end

local resume = coroutine.resume

local function resumed(is_done, first, ...)
  if is_done then return true, first, ... end
  return false, value_of(first)
end

real.coroutine.resume = function(...) return resumed(resume(...)) end

-- No more than fits on the stack: the arithmetic of stock Lua overflows on the largest ranges.
function real.unpack(...)
  local list, first, last = ...
  if type(list) ~= "table" then
    fail("bad argument #1 to 'unpack' (table expected, got " .. type(list) .. ")")
  else
    first = first == nil and 1 or tonumber(first)
    last = last == nil and #list or tonumber(last)
    if first and last and last >= first
      and (last - first >= 8000 or first < -2147483648 or last > 2147483647) then
      fail("too many results to unpack")
    end
  end
  return unpack(...)
end

-- Text alone is compiled, and nothing is collected while it is (see machine.rs).
local function compile(text, name)
  local made, why = host.compile(text, name)
  return made or nil, why
end

function real.loadstring(text, name)
  if type(text) ~= "string" and type(text) ~= "number" then
    fail("bad argument #1 to 'loadstring' (string expected, got " .. type(text) .. ")")
  end
  text = tostring(text)
  return compile(text, name == nil and text or tostring(name))
end

function real.load(read, name)
  if type(read) ~= "function" then
    fail("bad argument #1 to 'load' (function expected, got " .. type(read) .. ")")
  end
  local pieces, count = {}, 0
  while true do
    local piece = read()
    if piece == nil or piece == "" then break end
    if type(piece) ~= "string" and type(piece) ~= "number" then
      return nil, "reader function must return a string"
    end
    count = count + 1
    pieces[count] = piece
  end
  return compile(real.table.concat(pieces), name == nil and "=(load)" or tostring(name))
end

function real.collectgarbage(...)
  host.note_collect()
  return collectgarbage(...)
end

-- Patterns are matched by the host, which can stop it (see lib/pattern.rs).
real.string.find, real.string.match = host.find, host.match
do
  local next_of, first_of, replace, check = host.next, host.first, host.gsub, host.gmatch
  local concat, sub = real.table.concat, real.string.sub

  local function gmatch(text, pattern)
    local at = 0
    check(text, pattern)
    local function step(behind, ...)
      at = behind
      return ...
    end
    return function() return step(next_of(text, pattern, at)) end
  end
  real.string.gmatch, real.string.gfind = gmatch, gmatch

  -- A function or a table says what a match becomes: here, so that it may do anything.
  function real.string.gsub(text, pattern, becomes, most, ...)
    local kind = type(becomes)
    if kind ~= "function" and kind ~= "table" then
      return replace(text, pattern, becomes, most, ...)
    end
    check(text, pattern)
    text, most = tostring(text), tonumber(most) or #tostring(text) + 1
    local pieces, count, at, len = {}, 0, 0, #text
    local function matched(first, last, capture, ...)
      if not first then return end
      if kind == "function" then return first, last, (becomes(capture, ...)) end
      return first, last, becomes[capture]
    end
    local is_anchored = sub(pattern, 1, 1) == "^"
    while count < most do
      local first, last, value = matched(first_of(text, pattern, at))
      if not first then break end
      count = count + 1
      if not value then
        value = sub(text, first + 1, last)
      elseif type(value) ~= "string" and type(value) ~= "number" then
        fail("invalid replacement value (a " .. type(value) .. ")")
      end
      pieces[#pieces + 1] = sub(text, at + 1, first)
      pieces[#pieces + 1] = value
      at = last
      if first == last then
        pieces[#pieces + 1] = sub(text, at + 1, at + 1)
        at = at + 1
      end
      if at > len or is_anchored then break end
    end
    pieces[#pieces + 1] = sub(text, at + 1)
    return concat(pieces), count
  end
end

real.math.random, real.math.randomseed = host.random, host.randomseed
real.cjson, real.cmsgpack, real.struct, real.bit = host.cjson, host.cmsgpack, host.struct, host.bit
real.os = { clock = host.clock }

local function add_log(api)
  api.log = host.log
  api.LOG_DEBUG, api.LOG_VERBOSE, api.LOG_NOTICE, api.LOG_WARNING = 0, 1, 2, 3
  api.REDIS_VERSION, api.REDIS_VERSION_NUM = host.version, host.version_number
end

-- `call` is the host's own function, another one for each run; `pcall` is the same with a mark.
local function outside()
  error({ err = "ERR redis.call/pcall can only be called inside a script invocation" })
end

local protected = host.protected

local api = {
  call = outside,
  error_reply = host.error_reply,
  status_reply = host.status_reply,
  sha1hex = host.sha1hex,
  setresp = host.setresp,
  set_repl = host.set_repl,
  acl_check_cmd = host.acl_check_cmd,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}
function api.pcall(...)
  return api.call(protected, ...)
end
add_log(api)
if host.is_eval then
  api.breakpoint = function() return false end
  api.debug = function() end
  api.replicate_commands = function() return true end
end
real.redis = api

-- What scripts see.

local function missing(_, name)
  if type(name) ~= "string" and type(name) ~= "number" then
    error("Second argument to luaProtectedTableError must be a string or number", 2)
  end
  error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
end

local hidden = { "newproxy", "dofile", "loadfile", "print", "require", "module", "getfenv", "setfenv", "_G" }
for _, name in pairs(hidden) do
  real[name] = nil
end
local strings = getmetatable("")
strings.__metatable = protect { __index = protect(real.string) }

local globals = {}
for name, value in pairs(real) do
  globals[name] = type(value) == "table" and protect(value) or value
end
setmetatable(globals, { __index = missing })

local front = { __index = globals, __newindex = refuse, __metatable = protect {} }
local seen = setmetatable({}, front)
behind[seen] = globals
globals._G = seen

-- While a library of functions is loaded it sees nothing but this.
local loading_api = { register_function = host.register_function }
add_log(loading_api)
setmetatable(loading_api, { __index = missing })
local loading = setmetatable({ redis = protect(loading_api) }, { __index = missing })

local prepared = { globals = seen }

-- What is compiled, by its number; and the functions of libraries, in a table each.
prepared.scripts = {}
local scripts = prepared.scripts

-- Runs a script: true and what it returns, or false and its error as a table.
function prepared.run(number, index, handler, commands, keys, arguments)
  api.call = commands
  local is_done, value
  if host.is_eval then
    globals.KEYS, globals.ARGV = keys, arguments
    is_done, value = xpcall(scripts[number], handler)
  else
    local callback = scripts[number][index]
    is_done, value = xpcall(function() return (callback(keys, arguments)) end, handler)
  end
  api.call = outside
  return is_done, value
end

-- Runs a library's code, which registers functions.
function prepared.load(code)
  front.__index, behind[seen] = loading, loading
  local is_done, why = pcall(code)
  front.__index, behind[seen] = globals, globals
  return is_done, value_of(why)
end

return prepared
