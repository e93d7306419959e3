// Filling of slots: see slot-writer.h.
#include "slot-writer.h"

#include <algorithm>
#include <cassert>

namespace logpipe {
namespace {

// Milliseconds since 1970; -1: the record has none.
double timeOf(const rd_kafka_message_t& message, rd_kafka_timestamp_type_t* type) {
  const int64_t timestamp = rd_kafka_message_timestamp(&message, type);
  return *type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : static_cast<double>(timestamp);
}

}  // namespace

void Payload::put(const rd_kafka_message_t& message, const Headers& headers, size_t index) {
  const size_t metaBytes = message.key_len + headers.bytes;
  const size_t valueStart = front_;
  const size_t metaStart = back_ - metaBytes;
  assert(front_ + message.len + metaBytes <= back_);
  uint8_t* payload = slot_.payload();
  if (message.len > 0) std::memcpy(payload + valueStart, message.payload, message.len);
  if (message.key_len > 0) std::memcpy(payload + metaStart, message.key, message.key_len);
  encodeHeaders(headers, payload + metaStart + message.key_len);
  front_ += message.len;
  back_ = metaStart;
  putEntry(message, headers, index, valueStart, metaStart);
}

void Payload::putEntry(const rd_kafka_message_t& message, const Headers& headers, size_t index,
                       size_t valueStart, size_t metaStart) const {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const double timestamp = timeOf(message, &type);
  layout::Record& record = slot_.record(index);
  record.valueStart = static_cast<int32_t>(valueStart);
  record.valueBytes = message.payload == nullptr ? -1 : static_cast<int32_t>(message.len);
  record.metaStart = static_cast<int32_t>(metaStart);
  record.keyBytes = message.key == nullptr ? -1 : static_cast<int32_t>(message.key_len);
  record.headersBytes = static_cast<int32_t>(headers.bytes);
  record.timestampType = static_cast<int32_t>(type);
  record.offset = static_cast<double>(message.offset);
  record.timestamp = timestamp;
}

void Payload::finish() const {
  slot_.word(layout::HEADER_FRONT) = static_cast<int32_t>(front_);
  slot_.word(layout::HEADER_BACK) = static_cast<int32_t>(end_ - back_);
}

SlotWriter::SlotWriter(Pool& pool, const Pool::Use& use, const Limits& limits, bool view,
                       std::vector<rd_kafka_message_t*>& copied)
    : pool_(pool),
      use_(use),
      slot_(use.slot()),
      limits_(limits),
      payload_(use.slot(), pool.shape().bufferBytes),
      copied_(copied),
      view_(view) {
  pool_.release(use.held());
  use.held().hitsOnly = false;
  slot_.clear();
}

bool SlotWriter::fits(size_t recordBytes, bool needsRun) const {
  if (records_ == 0) return true;
  if (needsRun && runs_ == layout::RUNS_MAX) return false;
  return recordsLeft() > 0 && recordBytes <= bytesLeft();
}

bool SlotWriter::continues(int32_t assignmentId) const {
  return runs_ > 0 && slot_.run(runs_ - 1).assignmentId == assignmentId;
}

void SlotWriter::add(rd_kafka_message_t* message, const Headers& headers, const Cover& cover,
                     const std::shared_ptr<Client>& client) {
  const size_t recordBytes = message->len + message->key_len + headers.bytes;
  const bool isOversize = recordBytes > pool_.shape().bufferBytes;
  if (isOversize) {
    // Alone in its slot, and a view however many there are: it fits nowhere else.
    assert(records_ == 0);
    isSealed_ = true;
    flags_ |= layout::SLOT_FLAG_OVERSIZE;
    if (!view_) pool_.addView();
    view_ = true;
    payload_.putEntry(*message, headers, 0, 0, 0);
  }
  if (cover.newRun) {
    endRun();
    layout::Run& run = slot_.run(runs_++);
    run = {cover.assignmentId, static_cast<int32_t>(records_), 0, 0, 0, 0, 0, -1};
    run.coverFrom = cover.from;
    run.lowWatermark = cover.lowWatermark;
  }
  layout::Run& run = slot_.run(runs_ - 1);
  run.records++;
  run.coverTo = cover.to;
  run.valueBytes = static_cast<int32_t>(
      std::min<uint64_t>(static_cast<uint64_t>(run.valueBytes) + message->len, INT32_MAX));
  last_ = message;
  bytes_ += recordBytes;
  valueBytes_ += message->len;
  if (view_) {
    Pool::Held& held = use_.held();
    if (held.messages.empty()) {
      held.client = client;
      client->hold();
    }
    held.messages.push_back(message);
  } else {
    payload_.put(*message, headers, records_);
    copied_.push_back(message);
  }
  records_++;
}

// Asked for once a run, of the one record that a lag is told by: it costs a call of librdkafka.
void SlotWriter::endRun() {
  if (last_ == nullptr) return;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  slot_.run(runs_ - 1).lastTimestamp = timeOf(*last_, &type);
}

void SlotWriter::finish() {
  endRun();
  if (view_ && records_ == 0) pool_.dropView();
  if (view_ && records_ > 0) flags_ |= layout::SLOT_FLAG_VIEW;
  slot_.word(layout::HEADER_RECORDS) = static_cast<int32_t>(records_);
  slot_.word(layout::HEADER_RUNS) = static_cast<int32_t>(runs_);
  slot_.word(layout::HEADER_FLAGS) = flags_;
  slot_.setBytes(valueBytes_);
  payload_.finish();
}

}  // namespace logpipe
