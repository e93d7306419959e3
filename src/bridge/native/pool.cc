// Slots: what they hold, and their scan. See pool.h.
#include "pool.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "failure.h"

namespace logpipe {
namespace {

int32_t sizeOrNull(const Bytes& bytes) {
  return bytes.data == nullptr ? -1 : static_cast<int32_t>(bytes.size);
}

uint8_t* put(uint8_t* out, const Bytes& bytes) {
  if (bytes.size > 0) std::memcpy(out, bytes.data, bytes.size);
  return out + bytes.size;
}

std::string textOf(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

// Copies hits into a slot, one behind the other: value, key, headers; and their index.
class HitWriter {
 public:
  HitWriter(layout::Slot slot, const layout::Shape& shape) : slot_(slot), shape_(shape) {}

  size_t count() const { return count_; }
  bool isOversize() const { return isOversize_; }

  // False: it does not fit. The first one always does, if it must, as an oversize one.
  bool put(const BatchScan& hit, const Batch& batch, Client& client) {
    if (count_ == shape_.recordsMax || isOversize_) return false;
    const BatchRecord& record = hit.record();
    const std::vector<uint16_t>& alternatives = hit.verdict().hits;
    const size_t alternativesBytes = alternatives.size() * sizeof(uint16_t);
    bool isWellFormed = true;
    const size_t headerBytes = record.headerBytes(isWellFormed);
    const size_t bytes = record.value.size + record.key.size + headerBytes + alternativesBytes;
    const bool fits = bytes <= shape_.bufferBytes - used_;
    if (!fits && count_ > 0) return false;
    if (!isWellFormed) {
      client.events.error(RD_KAFKA_RESP_ERR__BAD_MSG,
                          "the headers of a record cannot be parsed: it is delivered without",
                          rd_kafka_topic_name(batch.message->rkt), batch.message->partition,
                          record.offset);
    }
    slot_.record(count_++) = {static_cast<int32_t>(used_), sizeOrNull(record.value),
                              sizeOrNull(record.key), static_cast<int32_t>(headerBytes),
                              batch.timestampType, static_cast<int32_t>(alternatives.size()),
                              static_cast<double>(record.offset),
                              static_cast<double>(record.timestamp)};
    isOversize_ = !fits;
    if (!fits) return true;
    uint8_t* out = logpipe::put(slot_.payload() + used_, record.value);
    out = logpipe::put(out, record.key);
    if (headerBytes > 0) record.encodeHeaders(out);
    if (alternativesBytes > 0) {
      std::memcpy(out + headerBytes, alternatives.data(), alternativesBytes);
    }
    used_ += bytes;
    return true;
  }

 private:
  layout::Slot slot_;
  const layout::Shape& shape_;
  size_t count_ = 0;
  size_t used_ = 0;
  bool isOversize_ = false;
};

enum class RunEnd { Done, Cut, Broken };

// One run of a slot in one scan.
class RunScan {
 public:
  RunScan(Pool::Held& held, HitWriter& out, int32_t row)
      : held_(held), scan_(*held.scan), out_(out), row_(row) {}

  // Takes hits until the run ends or there is no room.
  RunEnd go() {
    const size_t end = held_.runEnds[scan_.run];
    for (; scan_.batch < end; scan_.batch++) {
      const Batch& batch = held_.batches[scan_.batch];
      if (!scan_.hits.has_value()) scan_.hits.emplace(batch, scan_.filter);
      BatchScan& hits = *scan_.hits;
      while (scan_.isHitLeft || hits.next()) {
        const int64_t offset = hits.record().offset;
        scan_.isHitLeft = !out_.put(hits, batch, *held_.client);
        if (scan_.isHitLeft) return cut(offset, hits.index());
        const int32_t droppedBy = hits.verdict().droppedBy;
        if (droppedBy != Verdict::NONE) hits.dropped().push_back(static_cast<uint16_t>(droppedBy));
        hitTo_ = offset + 1;
        hitRecords_ = hits.index() + 1;
        if (out_.isOversize()) return cut(offset + 1, hits.index() + 1);
      }
      // What is behind the damage may be among them: they count as not kept, and no more.
      if (hits.isBroken()) return breakOff(batch);
      noteDropped();
      scan_.recordsBefore += batch.records;
      scan_.hits.reset();
      hitTo_ = 0;
      hitRecords_ = 0;
    }
    return RunEnd::Done;
  }

  // Where the run was left, and how many of its records came before.
  int64_t offset() const { return offset_; }
  int32_t records() const { return records_; }

 private:
  RunEnd cut(int64_t offset, int32_t recordsOfBatch) {
    noteDropped();
    offset_ = offset;
    records_ = scan_.recordsBefore + recordsOfBatch;
    return RunEnd::Cut;
  }

  // Adds what the batch had to the row's counts.
  void noteDropped() {
    std::vector<uint16_t>& dropped = scan_.hits->dropped();
    if (dropped.empty()) return;
    std::sort(dropped.begin(), dropped.end());
    for (const uint16_t one : dropped) {
      const auto known = std::find_if(
          held_.dropped.rbegin(), held_.dropped.rend(),
          [&](const Pool::Dropped& row) { return row.row == row_ && row.alternative == one; });
      if (known == held_.dropped.rend()) {
        held_.dropped.push_back({row_, one, 1});
      } else {
        known->records++;
      }
    }
    dropped.clear();
  }

  // What lies behind belongs to nobody, and is read again: Consumer::events. A hit may stand behind
  // a record that cannot be read, for the scan skips by lengths: what is before it counts as read.
  RunEnd breakOff(const Batch& batch) {
    BatchReader reader(batch);
    offset_ = std::max(batch.from, hitTo_);
    int32_t records = 0;
    for (; reader.next(); records++) offset_ = std::max(offset_, reader.record().offset + 1);
    records_ = scan_.recordsBefore + std::max(records, hitRecords_);
    const layout::Run& run = held_.runs[scan_.run];
    Event event;
    event.kind = Event::Kind::Rewind;
    event.assignmentId = run.assignmentId;
    event.expected = static_cast<int64_t>(run.coverTo);
    event.offset = offset_;
    event.message = batch.damage();
    held_.client->events.push(std::move(event));
    return RunEnd::Broken;
  }

  Pool::Held& held_;
  Pool::Scan& scan_;
  HitWriter& out_;
  int32_t row_;
  int64_t offset_ = 0;
  int32_t records_ = 0;
  // Behind the last hit that was taken of the batch.
  int64_t hitTo_ = 0;
  int32_t hitRecords_ = 0;
};

}  // namespace

Pool::Use::Use(Pool& pool, double slotIndex)
    : held_(nullptr), slot_(nullptr, pool.shape_), index_(0) {
  if (!(slotIndex >= 0 && slotIndex < static_cast<double>(pool.shape_.slotCount))) {
    throw Misuse("slot index out of range: " + std::to_string(slotIndex));
  }
  index_ = static_cast<size_t>(slotIndex);
  Held& held = pool.held_[index_];
  if (held.inUse.exchange(true, std::memory_order_acquire)) {
    throw Misuse("slot " + std::to_string(index_) + " is in use by another thread");
  }
  held_ = &held;
  slot_ = layout::Slot(pool.memory_ + index_ * pool.shape_.slotBytes(), pool.shape_);
}

void Pool::Use::require(int32_t state, int32_t orState) const {
  const int32_t now = slot_.state();
  if (now == state || now == orState) return;
  throw Misuse("slot " + std::to_string(index_) + " is in state " + std::to_string(now) +
               ", which this call may not touch");
}

Pool::Pool(uint8_t* memory, size_t memoryBytes, const layout::Shape& shape)
    : memory_(memory), shape_(shape), held_(shape.slotCount) {
  if (memoryBytes / shape.slotCount < shape.slotBytes()) {
    throw Misuse("the memory has " + std::to_string(memoryBytes) + " bytes, " +
                 std::to_string(shape.slotCount) + " slots of " +
                 std::to_string(shape.slotBytes()) + " do not fit");
  }
  if (reinterpret_cast<uintptr_t>(memory) % 8 != 0) throw Misuse("the memory is not aligned to 8");
}

Pool::~Pool() {
  for (Held& held : held_) release(held);
}

bool Pool::waitForRoom(size_t bytesMax, int timeoutMs) {
  if (bytes() < bytesMax) return true;
  std::unique_lock lock(mutex_);
  waiting_++;
  const bool isThere = changed_.wait_for(lock, std::chrono::milliseconds(timeoutMs),
                                         [&] { return bytes() < bytesMax; });
  waiting_--;
  return isThere;
}

void Pool::add(Held& held, const Batch& batch, const std::shared_ptr<Client>& client,
               const layout::Run* newRun) {
  if (held.batches.empty()) {
    held.client = client;
    client->hold();
  }
  if (newRun != nullptr) {
    held.runs.push_back(*newRun);
    held.runEnds.push_back(0);
  }
  held.batches.push_back(batch);
  held.runEnds.back() = held.batches.size();
  layout::Run& run = held.runs.back();
  const auto runBytes = static_cast<uint64_t>(run.valueBytes) + batch.bytes.size;
  run.records += batch.records;
  run.valueBytes = static_cast<int32_t>(std::min<uint64_t>(runBytes, INT32_MAX));
  run.coverTo = static_cast<double>(batch.to);
  run.lastTimestamp = static_cast<double>(batch.maxTimestamp);
  held.records += batch.records;
  held.wantedBytes += batch.bytes.size;
  held.bytes += batch.message->len;
  bytes_.fetch_add(batch.message->len, std::memory_order_relaxed);
}

void Pool::finish(const Use& use) const {
  const layout::Slot slot = use.slot();
  const Held& held = use.held();
  for (size_t index = 0; index < held.runs.size(); index++) slot.run(index) = held.runs[index];
  slot.word(layout::HEADER_RECORDS) = held.records;
  slot.word(layout::HEADER_RUNS) = static_cast<int32_t>(held.runs.size());
  slot.setBytes(held.wantedBytes);
}

void Pool::release(Held& held) {
  held.scan.reset();
  held.isScanned = false;
  if (held.batches.empty()) return;
  for (const Batch& batch : held.batches) rd_kafka_message_destroy(batch.message);
  held.batches.clear();
  held.runs.clear();
  held.runEnds.clear();
  held.records = 0;
  held.wantedBytes = 0;
  held.client->unhold();
  held.client.reset();
  bytes_.fetch_sub(std::exchange(held.bytes, 0));
  // Whoever waits counts itself before it looks, so that one of the two sees the other.
  if (waiting_ == 0) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

size_t Pool::scan(double slotIndex, const std::function<Filter()>& filter) {
  const Use use(*this, slotIndex);
  use.require(layout::SLOT_FILTERING, layout::SLOT_FILLING);
  Held& held = use.held();
  if (held.isScanned) throw Misuse("the slot was scanned already");
  if (!held.scan.has_value()) held.scan.emplace(filter());
  Scan& scan = *held.scan;
  scan.isOversize = false;
  held.dropped.clear();
  const layout::Slot slot = use.slot();
  HitWriter out(slot, shape_);
  size_t rows = 0;
  int32_t records = 0;
  RunEnd end = RunEnd::Done;
  while (scan.run < held.runs.size() && end != RunEnd::Cut) {
    layout::Run row = held.runs[scan.run];
    row.firstHit = static_cast<int32_t>(out.count());
    RunScan run(held, out, static_cast<int32_t>(rows));
    end = run.go();
    if (end != RunEnd::Done) {
      row.coverTo = std::max(row.coverFrom, static_cast<double>(run.offset()));
      row.records = std::clamp(run.records() - scan.recordsReported, 0, row.records);
    }
    row.hits = static_cast<int32_t>(out.count()) - row.firstHit;
    const bool hasRow = row.coverTo > row.coverFrom;
    if (hasRow) {
      records += row.records;
      slot.run(rows++) = row;
    }
    if (end != RunEnd::Cut) {
      scan.batch = held.runEnds[scan.run++];
      scan.hits.reset();
      scan.recordsBefore = scan.recordsReported = 0;
    } else if (hasRow) {
      layout::Run& rest = held.runs[scan.run];
      rest.coverFrom = row.coverTo;
      rest.records -= row.records;
      rest.valueBytes = 0;
      rest.lowWatermark = -1;
      scan.recordsReported += row.records;
    }
  }
  scan.isOversize = out.isOversize();
  slot.word(layout::HEADER_RECORDS) = records;
  slot.word(layout::HEADER_RUNS) = static_cast<int32_t>(rows);
  slot.word(layout::HEADER_FLAGS) = (end == RunEnd::Cut ? layout::SLOT_FLAG_MORE : 0) |
                                    (out.isOversize() ? layout::SLOT_FLAG_OVERSIZE : 0) |
                                    (held.dropped.empty() ? 0 : layout::SLOT_FLAG_DROPPED);
  if (end == RunEnd::Cut) return out.count();
  release(held);
  held.isScanned = true;
  return out.count();
}

Pool::Oversize Pool::copyOversize(double slotIndex) {
  const Use use(*this, slotIndex);
  use.require(layout::SLOT_FILTERING, layout::SLOT_FILLING);
  const Held& held = use.held();
  if (!held.scan.has_value() || !held.scan->isOversize) {
    throw Misuse("the slot holds no oversize record that the scan found");
  }
  const BatchRecord& record = held.scan->hits->record();
  Oversize copy;
  copy.hasValue = record.value.data != nullptr;
  if (copy.hasValue) copy.value = textOf(record.value);
  copy.hasKey = record.key.data != nullptr;
  if (copy.hasKey) copy.key = textOf(record.key);
  bool isWellFormed = true;
  copy.headers.resize(record.headerBytes(isWellFormed));
  if (!copy.headers.empty()) {
    record.encodeHeaders(reinterpret_cast<uint8_t*>(copy.headers.data()));
  }
  copy.alternatives = held.scan->hits->verdict().hits;
  return copy;
}

std::vector<Pool::Dropped> Pool::dropped(double slotIndex) {
  const Use use(*this, slotIndex);
  use.require(layout::SLOT_FILTERING, layout::SLOT_FILLING);
  return use.held().dropped;
}

void Pool::discard(double slotIndex) {
  const Use use(*this, slotIndex);
  use.require(layout::SLOT_FILTERING, layout::SLOT_FILLING);
  release(use.held());
  use.slot().clear();
}

}  // namespace logpipe
