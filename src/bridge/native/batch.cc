// Reading of record batches: see batch.h.
#include "batch.h"

#include <cstring>

namespace logpipe {
namespace {

// Reads within bounds: false, and nowhere, when there is not enough.
class Cursor {
 public:
  Cursor(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}

  const uint8_t* at() const { return at_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  bool skip(size_t size) {
    if (size > left()) return false;
    at_ += size;
    return true;
  }

  // Ten bytes hold 64 bits and some: what is beyond is no varint.
  bool varint(int64_t& value) {
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && at_ < end_; shift += 7) {
      const uint8_t byte = *at_++;
      bits |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        value = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
        return true;
      }
    }
    return false;
  }

  // A length and as many bytes.
  bool bytes(Bytes& bytes, bool mayBeNull) {
    int64_t size;
    if (!varint(size)) return false;
    bytes = Bytes{};
    if (size == -1) return mayBeNull;
    if (size < 0 || static_cast<uint64_t>(size) > left()) return false;
    bytes = Bytes{at_, static_cast<size_t>(size)};
    at_ += size;
    return true;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

// Offers each header; false when they cannot be read.
template <typename Take>
bool eachHeader(const Bytes& raw, int64_t& count, const Take& take) {
  Cursor cursor(raw.data, raw.end());
  count = 0;
  if (raw.size == 0) return true;
  // Each takes two bytes at least, so a count that is made up ends soon.
  if (!cursor.varint(count) || count < 0 || count > INT32_MAX) return false;
  for (int64_t index = 0; index < count; index++) {
    Bytes name;
    Bytes value;
    if (!cursor.bytes(name, false) || !cursor.bytes(value, true)) return false;
    take(name, value);
  }
  return cursor.left() == 0;
}

uint8_t* putU32(uint8_t* out, uint32_t value) {
  out[0] = static_cast<uint8_t>(value);
  out[1] = static_cast<uint8_t>(value >> 8);
  out[2] = static_cast<uint8_t>(value >> 16);
  out[3] = static_cast<uint8_t>(value >> 24);
  return out + 4;
}

uint8_t* putSized(uint8_t* out, const Bytes& bytes) {
  out = putU32(out, bytes.data == nullptr ? UINT32_MAX : static_cast<uint32_t>(bytes.size));
  if (bytes.size > 0) std::memcpy(out, bytes.data, bytes.size);
  return out + bytes.size;
}

Bytes bytesOf(const void* data, size_t size) { return {static_cast<const uint8_t*>(data), size}; }

}  // namespace

size_t BatchRecord::headerBytes(bool& isWellFormed) const {
  size_t size = 4;
  int64_t count = 0;
  isWellFormed = logpipe::eachHeader(headers, count, [&](const Bytes& name, const Bytes& value) {
    size += 8 + name.size + value.size;
  });
  return isWellFormed && count > 0 ? size : 0;
}

void BatchRecord::encodeHeaders(uint8_t* out) const {
  uint8_t* const begin = out;
  out += 4;
  int64_t count = 0;
  logpipe::eachHeader(headers, count, [&](const Bytes& name, const Bytes& value) {
    out = putSized(putSized(out, name), value);
  });
  if (count > 0) putU32(begin, static_cast<uint32_t>(count));
}

void BatchRecord::eachHeader(
    const std::function<bool(const Bytes& name, const Bytes& value)>& take) const {
  bool isWanted = false;
  headerBytes(isWanted);
  if (!isWanted) return;
  int64_t count = 0;
  logpipe::eachHeader(headers, count, [&](const Bytes& name, const Bytes& value) {
    if (isWanted) isWanted = take(name, value);
  });
}

Batch Batch::of(rd_kafka_message_t* message) {
  Batch batch;
  batch.message = message;
  batch.bytes = bytesOf(message->payload, message->len);
  batch.to = message->offset + 1;
  batch.leaderEpoch = rd_kafka_message_leader_epoch(message);
  rd_kafka_batch_t whole;
  if (rd_kafka_message_batch(message, &whole) != 0) {
    batch.base = whole.base_offset;
    batch.from = whole.from_offset;
    batch.baseTimestamp = whole.base_timestamp;
    batch.maxTimestamp = whole.max_timestamp;
    batch.records = whole.record_count;
    batch.timestampType = whole.append_time != 0 ? RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME
                                                 : RD_KAFKA_TIMESTAMP_CREATE_TIME;
    if (batch.from > batch.base) {
      const int64_t asked = batch.from;
      batch.from = batch.base;
      batch.narrow(asked, batch.to);
    }
    return batch;
  }
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const int64_t timestamp = rd_kafka_message_timestamp(message, &type);
  batch.maxTimestamp = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp;
  batch.timestampType = type;
  batch.base = batch.from = message->offset;
  batch.records = 1;
  batch.isAlone = true;
  return batch;
}

void Batch::narrow(int64_t newFrom, int64_t newTo) {
  if (newFrom <= from && newTo >= to) return;
  BatchReader reader(*this);
  const bool isOutside = newFrom >= to || newTo <= from;  // Broken or not: nobody wants it.
  const uint8_t* begin = bytes.data;
  const uint8_t* end = bytes.data;
  int32_t below = 0;
  int32_t wanted = 0;
  while (!isOutside && reader.next() && reader.record().offset < newTo) {
    end = reader.record().end;
    if (reader.record().offset >= newFrom) {
      wanted++;
    } else {
      begin = end;
      below++;
    }
  }
  if (reader.isBroken()) {  // Comes up again, where it lies.
    end = bytes.end();
    wanted = records - below;
  }
  if (!isAlone) bytes = Bytes{begin, static_cast<size_t>(end - begin)};
  records = wanted;
  from = from < newFrom ? newFrom : from;
  to = to > newTo ? newTo : to;
}

bool Batch::isWhole() const {
  BatchReader reader(*this);
  while (reader.next()) {
  }
  return !reader.isBroken();
}

std::string Batch::damage() const {
  return "the record batch at offset " + std::to_string(base) +
         " is damaged: its records cannot be told apart";
}

bool BatchReader::nextAt(const uint8_t* place) {
  if (isBroken_ || read_ == batch_->records) return false;
  if (batch_->isAlone) return takeAlone();
  Cursor cursor(at_, batch_->bytes.end());
  while (read_ < batch_->records) {
    int64_t size;
    if (!cursor.varint(size) || size < 0) break;
    const uint8_t* begin = cursor.at();
    if (!cursor.skip(static_cast<size_t>(size))) break;
    read_++;
    if (cursor.at() <= place) continue;
    at_ = begin;
    if (!parse(cursor.at())) break;
    at_ = cursor.at();
    return true;
  }
  isBroken_ = true;
  return false;
}

bool BatchReader::parse(const uint8_t* end) {
  Cursor cursor(at_, end);
  int64_t time;
  int64_t offset;
  record_ = BatchRecord{};
  if (!cursor.skip(1) || !cursor.varint(time) || !cursor.varint(offset)) return false;
  if (!cursor.bytes(record_.key, true) || !cursor.bytes(record_.value, true)) return false;
  if (offset < 0 || offset > INT32_MAX) return false;
  record_.offset = batch_->base + offset;
  if (record_.offset < next_ || record_.offset >= batch_->to) return false;
  next_ = record_.offset + 1;
  const bool isAppend = batch_->timestampType == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
  // Unsigned: a sum that is out of range is wrong, but no fault.
  const auto base = static_cast<uint64_t>(batch_->baseTimestamp);
  record_.timestamp = isAppend ? batch_->maxTimestamp
                               : static_cast<int64_t>(base + static_cast<uint64_t>(time));
  record_.headers = Bytes{cursor.at(), cursor.left()};
  record_.end = end;
  return true;
}

bool BatchReader::takeAlone() {
  const rd_kafka_message_t& message = *batch_->message;
  read_ = 1;
  record_ = BatchRecord{};
  record_.offset = message.offset;
  record_.timestamp = batch_->maxTimestamp;
  record_.key = bytesOf(message.key, message.key_len);
  record_.value = batch_->bytes;
  record_.headers.data = static_cast<const uint8_t*>(
      rd_kafka_message_raw_headers(&message, &record_.headers.size));
  record_.end = batch_->bytes.end();
  return true;
}

}  // namespace logpipe
