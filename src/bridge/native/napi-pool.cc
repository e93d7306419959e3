// The face of pools, slots and matchers.
#include <cstring>

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
  Value expression = call.field(options, "expression");
  if (!call.isUndefined(expression)) {
    return call.of(
        matchers().add(std::make_unique<Filter>(call.text(expression, "options.expression"))));
  }
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
      matchers().add(std::make_unique<Filter>(std::move(patterns), ignoreCase, invertMatch)));
}

Value matcherClose(Call& call) {
  call.expect(1);
  matchers().remove(call.id(0, "matcher"));
  return call.undefined();
}

// Headers as a slot has them (src/pool/layout.ts): count; each: size, name, size or -1, value.
struct SlotHeaders {
  const uint8_t* at;
  const uint8_t* end;

  bool number(uint32_t& value) {
    if (end - at < 4) return false;
    std::memcpy(&value, at, 4);
    at += 4;
    return true;
  }
  bool text(RecordView::Text& text) {
    uint32_t size = 0;
    if (!number(size)) return false;
    text = RecordView::Text{};
    if (size == UINT32_MAX) return true;
    if (size > static_cast<size_t>(end - at)) return false;
    text = RecordView::Text{at, size};
    at += size;
    return true;
  }
};

void eachSlotHeader(const void* headers, RecordView::TakeHeader take, void* context) {
  SlotHeaders rest = *static_cast<const SlotHeaders*>(headers);
  uint32_t count = 0;
  if (!rest.number(count)) return;
  for (; count > 0; count--) {
    RecordView::Text name;
    RecordView::Text value;
    if (!rest.text(name) || !rest.text(value)) throw Misuse("headers are not as a slot has them");
    if (!take(context, {reinterpret_cast<const char*>(name.data), name.size}, value)) return;
  }
}

RecordView::Text textOrNull(const Call& call, size_t index, const char* what) {
  if (call.isNull(call.at(index))) return {};
  const Call::Memory memory = call.typedArray(call.at(index), what, napi_uint8_array);
  // An empty array may have no memory, and is not null for that.
  static const uint8_t NOTHING = 0;
  return {memory.count == 0 ? &NOTHING : static_cast<const uint8_t*>(memory.data), memory.count};
}

Value numbers(const Call& call, const std::vector<uint16_t>& all) {
  Value result = call.newArray(all.size());
  for (size_t index = 0; index < all.size(); index++) {
    call.set(result, index, call.of(static_cast<double>(all[index])));
  }
  return result;
}

// Asks about one record, as a caller hands it over.
template <typename Ask>
Value withRecord(Call& call, Ask ask) {
  call.expect(8);
  const auto filter = matchers().lease(call.id(0, "matcher"));
  RecordView record;
  record.value = textOrNull(call, 1, "value");
  record.key = textOrNull(call, 2, "key");
  const Call::Memory headers = call.typedArray(call.at(3), "headers", napi_uint8_array);
  const auto* begin = static_cast<const uint8_t*>(headers.data);
  const SlotHeaders all{begin, headers.count == 0 ? begin : begin + headers.count};
  record.headers = &all;
  record.eachHeader = eachSlotHeader;
  const std::string topic = call.text(call.at(4), "topic");
  record.topic = topic;
  record.partition = call.int32(call.at(5), "partition", 0, INT32_MAX);
  record.offset = static_cast<int64_t>(call.number(call.at(6), "offset", 0, OFFSET_MAX));
  record.timestamp = static_cast<int64_t>(call.number(call.at(7), "timestampMs", -1, OFFSET_MAX));
  return ask(*filter, record);
}

Value matcherTest(Call& call) {
  return withRecord(call, [&](const Filter& filter, const RecordView& record) {
    return call.of(filter.keeps(record));
  });
}

Value matcherJudge(Call& call) {
  return withRecord(call, [&](const Filter& filter, const RecordView& record) {
    if (filter.alternatives() == 0) throw Misuse("the matcher has no alternatives");
    Verdict verdict;
    filter.judge(record, verdict);
    Value result = call.newObject();
    call.set(result, "hits", numbers(call, verdict.hits));
    call.set(result, "droppedBy", call.of(static_cast<double>(verdict.droppedBy)));
    return result;
  });
}

Value matcherDescribe(Call& call) {
  call.expect(1);
  return call.of(matchers().lease(call.id(0, "matcher"))->describe());
}

Value regexCheck(Call& call) {
  call.expect(2);
  const std::string source = call.text(call.at(0), "source");
  if (source.size() > Program::TEXT_MAX) throw Misuse("source is too long");
  const auto fault = checkRegex(source, call.boolean(call.at(1), "ignoreCase"));
  if (!fault.has_value()) return call.null();
  Value result = call.newObject();
  call.set(result, "message", call.of(fault->what()));
  call.set(result, "at",
           fault->at.has_value() ? call.of(static_cast<double>(*fault->at)) : call.null());
  return result;
}

double slotIndex(const Call& call) { return call.number(call.at(1), "slotIndex", 0, SLOTS_MAX); }

Value slotScan(Call& call) {
  call.expect(3);
  const auto pool = pools().lease(call.id(0, "pool"));
  const double slot = slotIndex(call);
  const double id = call.id(2, "matcher");
  const size_t hits = pool->scan(slot, [id]() -> Filter { return *matchers().lease(id); });
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
  call.set(result, "alternatives", numbers(call, record.alternatives));
  return result;
}

Value slotDropped(Call& call) {
  call.expect(2);
  const auto pool = pools().lease(call.id(0, "pool"));
  const std::vector<Pool::Dropped> rows = pool->dropped(slotIndex(call));
  Value result = call.newArray(rows.size());
  for (size_t index = 0; index < rows.size(); index++) {
    Value row = call.newObject();
    call.set(row, "run", call.of(static_cast<double>(rows[index].row)));
    call.set(row, "alternative", call.of(static_cast<double>(rows[index].alternative)));
    call.set(row, "records", call.of(static_cast<double>(rows[index].records)));
    call.set(result, index, row);
  }
  return result;
}

Value slotDiscard(Call& call) {
  call.expect(2);
  const auto pool = pools().lease(call.id(0, "pool"));
  pool->discard(slotIndex(call));
  return call.undefined();
}

constexpr Row ROWS[] = {
    {"poolOpen", poolOpen},
    {"poolClose", poolClose},
    {"poolBytes", poolBytes},
    {"matcherOpen", matcherOpen},
    {"matcherClose", matcherClose},
    {"matcherTest", matcherTest},
    {"matcherJudge", matcherJudge},
    {"matcherDescribe", matcherDescribe},
    {"regexCheck", regexCheck},
    {"slotScan", slotScan},
    {"slotOversize", slotOversize},
    {"slotDropped", slotDropped},
    {"slotDiscard", slotDiscard},
};

}  // namespace

void definePool(napi_env env, Value exports) { define(env, exports, ROWS, std::size(ROWS)); }

}  // namespace logpipe::face
