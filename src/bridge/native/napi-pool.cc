// The face of pools, slots and matchers.
#include "napi-values.h"
#include "registries.h"

namespace logpipe::face {
namespace {

// A slot's payload is indexed with Int32; the counts are what the options allow, and some.
constexpr double SLOTS_MAX = 65536;
constexpr double RECORDS_MAX = 16777216;
constexpr double BUFFER_BYTES_MAX = INT32_MAX;
constexpr size_t PATTERNS_MAX = 100000;

Value poolOpen(Call& call) {
  call.expect(2);
  const Call::Memory memory = call.sharedMemory(call.at(0), "memory");
  Value shape = call.object(call.at(1), "shape");
  layout::Shape read{};
  read.slotCount = static_cast<size_t>(
      call.number(call.field(shape, "slotCount"), "shape.slotCount", 1, SLOTS_MAX));
  read.bufferBytes = static_cast<size_t>(
      call.number(call.field(shape, "bufferBytes"), "shape.bufferBytes", 1, BUFFER_BYTES_MAX));
  read.recordsMax = static_cast<size_t>(
      call.number(call.field(shape, "recordsMax"), "shape.recordsMax", 1, RECORDS_MAX));
  return call.of(pools().add(
      std::make_unique<Pool>(static_cast<uint8_t*>(memory.data), memory.count, read)));
}

Value poolClose(Call& call) {
  call.expect(1);
  pools().remove(call.id(0, "pool"));
  return call.undefined();
}

Value poolBytes(Call& call) {
  call.expect(1);
  const auto pool = pools().lease(call.id(0, "pool"));
  return call.of(static_cast<double>(pool->bytes()));
}

Value matcherOpen(Call& call) {
  call.expect(1);
  Value options = call.object(call.at(0), "options");
  std::vector<std::string> patterns;
  for (Value pattern : call.array(call.field(options, "patterns"), "options.patterns")) {
    if (patterns.size() == PATTERNS_MAX) throw Misuse("too many patterns");
    patterns.push_back(
        call.bytes(pattern, "options.patterns[" + std::to_string(patterns.size()) + "]"));
    if (patterns.back().empty()) throw Misuse("a pattern must have one byte or more");
  }
  const bool ignoreCase = call.boolean(call.field(options, "ignoreCase"), "options.ignoreCase");
  const bool invertMatch = call.boolean(call.field(options, "invertMatch"), "options.invertMatch");
  return call.of(
      matchers().add(std::make_unique<Matcher>(std::move(patterns), ignoreCase, invertMatch)));
}

Value matcherClose(Call& call) {
  call.expect(1);
  matchers().remove(call.id(0, "matcher"));
  return call.undefined();
}

double slotIndex(const Call& call) { return call.number(call.at(1), "slotIndex", 0, SLOTS_MAX); }

Value slotScan(Call& call) {
  call.expect(3);
  const auto pool = pools().lease(call.id(0, "pool"));
  const double slot = slotIndex(call);
  const double id = call.id(2, "matcher");
  const size_t hits = pool->scan(slot, [id]() -> Matcher { return *matchers().lease(id); });
  return call.of(static_cast<double>(hits));
}

Value slotOversize(Call& call) {
  call.expect(2);
  const auto pool = pools().lease(call.id(0, "pool"));
  const Pool::Oversize record = pool->copyOversize(slotIndex(call));
  Value result = call.newObject();
  call.set(result, "value", record.hasValue ? call.ofBytes(record.value) : call.null());
  call.set(result, "key", record.hasKey ? call.ofBytes(record.key) : call.null());
  call.set(result, "headers", call.ofBytes(record.headers));
  return result;
}

Value slotDiscard(Call& call) {
  call.expect(2);
  const auto pool = pools().lease(call.id(0, "pool"));
  pool->discard(slotIndex(call));
  return call.undefined();
}

constexpr Row ROWS[] = {
    {"poolOpen", poolOpen},         {"poolClose", poolClose},       {"poolBytes", poolBytes},
    {"matcherOpen", matcherOpen},   {"matcherClose", matcherClose}, {"slotScan", slotScan},
    {"slotOversize", slotOversize}, {"slotDiscard", slotDiscard},
};

}  // namespace

void definePool(napi_env env, Value exports) { define(env, exports, ROWS, std::size(ROWS)); }

}  // namespace logpipe::face
