// The pool's shared memory as C++ sees it: the same constants as src/pool/layout.ts, which draws
// the states and says who may touch what. version().layout hands these to TypeScript, which
// compares.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace logpipe::layout {

constexpr int32_t SLOT_FREE = 0;
constexpr int32_t SLOT_FILLING = 1;
constexpr int32_t SLOT_READY = 2;
constexpr int32_t SLOT_FILTERING = 3;

constexpr int32_t HEADER_STATE = 0;
constexpr int32_t HEADER_RECORDS = 1;
constexpr int32_t HEADER_RUNS = 2;
constexpr int32_t HEADER_FLAGS = 3;
constexpr int32_t HEADER_BYTES_LOW = 4;
constexpr int32_t HEADER_BYTES_HIGH = 5;
constexpr int32_t HEADER_WORDS = 16;
constexpr int32_t HEADER_BYTES = HEADER_WORDS * 4;

constexpr int32_t SLOT_FLAG_MORE = 1;
constexpr int32_t SLOT_FLAG_OVERSIZE = 2;
constexpr int32_t SLOT_FLAG_DROPPED = 4;

constexpr int32_t RUNS_MAX = 64;
constexpr int32_t RUN_BYTES = 56;
constexpr int32_t RUN_ASSIGNMENT = 0;
constexpr int32_t RUN_RECORDS = 1;
constexpr int32_t RUN_VALUE_BYTES = 2;
constexpr int32_t RUN_FIRST_HIT = 3;
constexpr int32_t RUN_HITS = 4;
constexpr int32_t RUN_MARK_EPOCH = 5;
constexpr int32_t RUN_COVER_FROM = 3;
constexpr int32_t RUN_COVER_TO = 4;
constexpr int32_t RUN_LOW_WATERMARK = 5;
constexpr int32_t RUN_LAST_TIMESTAMP = 6;

constexpr int32_t RECORD_BYTES = 40;
constexpr int32_t RECORD_START = 0;
constexpr int32_t RECORD_VALUE_BYTES = 1;
constexpr int32_t RECORD_KEY_BYTES = 2;
constexpr int32_t RECORD_HEADERS_BYTES = 3;
constexpr int32_t RECORD_TIMESTAMP_TYPE = 4;
constexpr int32_t RECORD_ALTERNATIVES = 5;
constexpr int32_t RECORD_OFFSET = 3;
constexpr int32_t RECORD_TIMESTAMP = 4;

// Added to a fill's result: src/bridge/bridge.ts.
constexpr int32_t FILL_EVENTS = 0x40000000;
constexpr int32_t FILL_FULL = 0x20000000;

struct Entry {
  const char* name;
  int32_t value;
};

// What version().layout holds; each name is an export of src/pool/layout.ts (FILL_*:
// bridge.ts).
constexpr Entry ENTRIES[] = {
    {"SLOT_FREE", SLOT_FREE},
    {"SLOT_FILLING", SLOT_FILLING},
    {"SLOT_READY", SLOT_READY},
    {"SLOT_FILTERING", SLOT_FILTERING},
    {"HEADER_STATE", HEADER_STATE},
    {"HEADER_RECORDS", HEADER_RECORDS},
    {"HEADER_RUNS", HEADER_RUNS},
    {"HEADER_FLAGS", HEADER_FLAGS},
    {"HEADER_BYTES_LOW", HEADER_BYTES_LOW},
    {"HEADER_BYTES_HIGH", HEADER_BYTES_HIGH},
    {"HEADER_WORDS", HEADER_WORDS},
    {"HEADER_BYTES", HEADER_BYTES},
    {"SLOT_FLAG_MORE", SLOT_FLAG_MORE},
    {"SLOT_FLAG_OVERSIZE", SLOT_FLAG_OVERSIZE},
    {"SLOT_FLAG_DROPPED", SLOT_FLAG_DROPPED},
    {"RUNS_MAX", RUNS_MAX},
    {"RUN_BYTES", RUN_BYTES},
    {"RUN_ASSIGNMENT", RUN_ASSIGNMENT},
    {"RUN_RECORDS", RUN_RECORDS},
    {"RUN_VALUE_BYTES", RUN_VALUE_BYTES},
    {"RUN_FIRST_HIT", RUN_FIRST_HIT},
    {"RUN_HITS", RUN_HITS},
    {"RUN_MARK_EPOCH", RUN_MARK_EPOCH},
    {"RUN_COVER_FROM", RUN_COVER_FROM},
    {"RUN_COVER_TO", RUN_COVER_TO},
    {"RUN_LOW_WATERMARK", RUN_LOW_WATERMARK},
    {"RUN_LAST_TIMESTAMP", RUN_LAST_TIMESTAMP},
    {"RECORD_BYTES", RECORD_BYTES},
    {"RECORD_START", RECORD_START},
    {"RECORD_VALUE_BYTES", RECORD_VALUE_BYTES},
    {"RECORD_KEY_BYTES", RECORD_KEY_BYTES},
    {"RECORD_HEADERS_BYTES", RECORD_HEADERS_BYTES},
    {"RECORD_TIMESTAMP_TYPE", RECORD_TIMESTAMP_TYPE},
    {"RECORD_ALTERNATIVES", RECORD_ALTERNATIVES},
    {"RECORD_OFFSET", RECORD_OFFSET},
    {"RECORD_TIMESTAMP", RECORD_TIMESTAMP},
    {"FILL_EVENTS", FILL_EVENTS},
    {"FILL_FULL", FILL_FULL},
};

// The rows of the memory as structs: their layout is the constants above, checked below.
struct Run {
  int32_t assignmentId;
  int32_t records;
  int32_t valueBytes;
  int32_t firstHit;
  int32_t hits;
  int32_t markEpoch;
  double coverFrom;
  double coverTo;
  double lowWatermark;
  double lastTimestamp;
};
static_assert(sizeof(Run) == RUN_BYTES && offsetof(Run, hits) == RUN_HITS * 4 &&
              offsetof(Run, markEpoch) == RUN_MARK_EPOCH * 4 &&
              offsetof(Run, coverFrom) == RUN_COVER_FROM * 8 &&
              offsetof(Run, lastTimestamp) == RUN_LAST_TIMESTAMP * 8);

struct Record {
  int32_t start;
  int32_t valueBytes;
  int32_t keyBytes;
  int32_t headersBytes;
  int32_t timestampType;
  int32_t alternatives;
  double offset;
  double timestamp;
};
static_assert(sizeof(Record) == RECORD_BYTES &&
              offsetof(Record, timestampType) == RECORD_TIMESTAMP_TYPE * 4 &&
              offsetof(Record, alternatives) == RECORD_ALTERNATIVES * 4 &&
              offsetof(Record, offset) == RECORD_OFFSET * 8 &&
              offsetof(Record, timestamp) == RECORD_TIMESTAMP * 8);

constexpr size_t alignUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// Byte offsets within a slot, and its size: slotLayout() of src/pool/layout.ts.
struct Shape {
  size_t slotCount;
  size_t bufferBytes;
  size_t recordsMax;

  static constexpr size_t runsAt() { return HEADER_BYTES; }
  static constexpr size_t recordsAt() { return runsAt() + size_t{RUNS_MAX} * RUN_BYTES; }
  constexpr size_t payloadAt() const {
    return alignUp(recordsAt() + recordsMax * RECORD_BYTES, 64);
  }
  constexpr size_t slotBytes() const { return alignUp(payloadAt() + bufferBytes, 64); }
};

// One slot's memory. Its rows are aligned to 8, because slots are to 64 and so is every part.
class Slot {
 public:
  Slot(uint8_t* base, const Shape& shape) : base_(base), shape_(&shape) {}

  int32_t state() const {
    auto* word = reinterpret_cast<int32_t*>(base_);
    return std::atomic_ref<int32_t>(*word).load(std::memory_order_acquire);
  }
  int32_t& word(int32_t index) const { return reinterpret_cast<int32_t*>(base_)[index]; }
  Run& run(size_t index) const {
    return reinterpret_cast<Run*>(base_ + Shape::runsAt())[index];
  }
  Record& record(size_t index) const {
    return reinterpret_cast<Record*>(base_ + Shape::recordsAt())[index];
  }
  uint8_t* payload() const { return base_ + shape_->payloadAt(); }

  // Everything but the state word, which belongs to TypeScript.
  void clear() const { std::memset(base_ + 4, 0, HEADER_BYTES - 4); }
  void setBytes(uint64_t bytes) const {
    word(HEADER_BYTES_LOW) = static_cast<int32_t>(bytes & 0xffffffffU);
    word(HEADER_BYTES_HIGH) = static_cast<int32_t>(bytes >> 32);
  }

 private:
  uint8_t* base_;
  const Shape* shape_;
};

}  // namespace logpipe::layout
