// Slots after they are filled: scan, copy out, give up. See pool.h.
#include "pool.h"

#include "failure.h"
#include "headers.h"
#include "slot-writer.h"

namespace logpipe {
namespace {

// An empty value is no null value, wherever its pointer points.
const uint8_t EMPTY[1] = {0};

Span spanOf(const void* data, size_t size) {
  return Span{static_cast<const uint8_t*>(data), size};
}

// How far apart two values of fetched messages may lie and still be searched as one stretch: what
// is between them is the next record's head, within one block of librdkafka's (see matcher.h). The
// sanitizers cannot know that.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t VIEW_GAP_MAX = 0;
#else
constexpr size_t VIEW_GAP_MAX = Matcher::PAGE_GAP;
#endif

// Reused by every scan of a thread: nothing is allocated for each slot.
std::vector<Span>& spansOfThread(size_t count) {
  thread_local std::vector<Span> spans;
  spans.resize(count);
  return spans;
}

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

bool Pool::tryAddView(size_t viewsMax) {
  size_t views = views_.load(std::memory_order_relaxed);
  while (views < viewsMax) {
    if (views_.compare_exchange_weak(views, views + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void Pool::release(Held& held) {
  held.oversizeHit = false;
  if (held.messages.empty()) return;
  held.client->returns.give(held.messages);
  held.client->unhold();
  held.client.reset();
  dropView();
}

size_t Pool::scan(double slotIndex, const Matcher& matcher, int32_t* hits) {
  const Use use(*this, slotIndex);
  use.require(layout::SLOT_FILTERING, layout::SLOT_FILLING);
  Held& held = use.held();
  if (held.oversizeHit || held.hitsOnly) throw Misuse("the slot was scanned already");
  if (held.messages.empty()) return scanCopy(use, matcher, hits);
  const bool isOversize = (use.slot().word(layout::HEADER_FLAGS) & layout::SLOT_FLAG_OVERSIZE) != 0;
  size_t count = 0;
  if (isOversize) {
    const rd_kafka_message_t* message = held.messages[0];
    const Span span = spanOf(message->payload, message->len);
    count = matcher.scan(&span, 1, hits);
    held.oversizeHit = count == 1;
  } else {
    count = scanView(use, matcher, hits);
    held.hitsOnly = true;
  }
  if (held.oversizeHit) return count;
  release(held);
  use.slot().word(layout::HEADER_FLAGS) &= ~layout::SLOT_FLAG_VIEW;
  return count;
}

// The index lies in memory that TypeScript can write: what is out of bounds is refused, not read.
size_t Pool::scanCopy(const Use& use, const Matcher& matcher, int32_t* hits) const {
  const layout::Slot slot = use.slot();
  const auto count = static_cast<size_t>(static_cast<uint32_t>(slot.word(layout::HEADER_RECORDS)));
  if (count > shape_.recordsMax) throw Misuse("the slot's header is damaged");
  if (count > 0 && (slot.word(layout::HEADER_FLAGS) & layout::SLOT_FLAG_OVERSIZE) != 0) return 0;
  std::vector<Span>& spans = spansOfThread(count);
  for (size_t index = 0; index < count; index++) {
    const layout::Record& record = slot.record(index);
    if (record.valueBytes < 0) {
      spans[index] = Span{nullptr, 0};
      continue;
    }
    const auto start = static_cast<size_t>(static_cast<uint32_t>(record.valueStart));
    const auto bytes = static_cast<size_t>(record.valueBytes);
    if (start > shape_.bufferBytes || bytes > shape_.bufferBytes - start) {
      throw Misuse("the slot's index is damaged");
    }
    spans[index] = Span{slot.payload() + start, bytes};
  }
  return matcher.scan(spans.data(), count, hits);
}

size_t Pool::scanView(const Use& use, const Matcher& matcher, int32_t* hits) const {
  const std::vector<rd_kafka_message_t*>& messages = use.held().messages;
  std::vector<Span>& spans = spansOfThread(messages.size());
  for (size_t index = 0; index < messages.size(); index++) {
    const rd_kafka_message_t& message = *messages[index];
    const bool isEmpty = message.payload != nullptr && message.len == 0;
    spans[index] = isEmpty ? spanOf(EMPTY, 0) : spanOf(message.payload, message.len);
  }
  const size_t count = matcher.scan(spans.data(), messages.size(), hits, VIEW_GAP_MAX);
  Payload payload(use.slot(), shape_.bufferBytes);
  for (size_t hit = 0; hit < count; hit++) {
    const auto index = static_cast<size_t>(hits[hit]);
    payload.put(*messages[index], headersOf(messages[index]), index);
  }
  payload.finish();
  return count;
}

Pool::Oversize Pool::copyOversize(double slotIndex) {
  const Use use(*this, slotIndex);
  Held& held = use.held();
  if (!held.oversizeHit) throw Misuse("the slot holds no oversize record that the scan found");
  const rd_kafka_message_t& message = *held.messages[0];
  Oversize record;
  record.hasValue = message.payload != nullptr;
  if (record.hasValue) record.value.assign(static_cast<char*>(message.payload), message.len);
  record.hasKey = message.key != nullptr;
  if (record.hasKey) record.key.assign(static_cast<char*>(message.key), message.key_len);
  const Headers headers = headersOf(&message);
  record.headers.resize(headers.bytes);
  encodeHeaders(headers, reinterpret_cast<uint8_t*>(record.headers.data()));
  release(held);
  use.slot().word(layout::HEADER_FLAGS) &= ~layout::SLOT_FLAG_VIEW;
  return record;
}

void Pool::discard(double slotIndex) {
  const Use use(*this, slotIndex);
  release(use.held());
  use.held().hitsOnly = false;
  use.slot().clear();
}

}  // namespace logpipe
