// A record batch as librdkafka hands it on, and the records in it.
//
// The bytes are what the broker sent (decompressed): all lengths in them are checked against the
// batch's end, and what does not add up is `broken`, never a read outside.
//
//   batch    record, record, ...           as many as its header says
//   record   varint: bytes that follow; attributes: 1 byte; varints: time and offset, as deltas;
//            key and value: varint length (-1: null), bytes; headers
//   headers  varint count; each: varint length, name; varint length (-1: null), value
//
// https://kafka.apache.org/documentation/#recordbatch. Varints are zigzag. A record of an older
// format comes alone, as librdkafka parsed it: it is a batch of one, without such framing.
#pragma once

#include <rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace logpipe {

struct Bytes {
  const uint8_t* data = nullptr;  // Null: there is none, which is not the same as empty.
  size_t size = 0;
  const uint8_t* end() const { return data + size; }
};

struct Batch {
  rd_kafka_message_t* message = nullptr;
  Bytes bytes;          // The records, or, of a record that comes alone, its value.
  int64_t base = 0;     // Offsets count from it.
  int64_t from = 0;     // The records' offsets lie in [from, to).
  int64_t to = 0;
  int64_t baseTimestamp = 0;
  int64_t maxTimestamp = -1;  // -1: none.
  int32_t leaderEpoch = -1;   // Of the leader that wrote it; -1: none, in older formats.
  int32_t records = 0;
  int32_t timestampType = 0;  // rd_kafka_timestamp_type_t
  bool isAlone = false;

  // What the message holds, from the offset on that was asked for.
  static Batch of(rd_kafka_message_t* message);

  // Leaves only the records of [newFrom, newTo): walks over all, and costs nothing where none is
  // outside. What is broken is left in, for the scan to find, unless none of its offsets is wanted.
  void narrow(int64_t newFrom, int64_t newTo);

  // Whether its records can be told apart. Walks over all.
  bool isWhole() const;
  // A sentence about one whose records cannot.
  std::string damage() const;
};

struct BatchRecord {
  int64_t offset = 0;
  int64_t timestamp = -1;
  Bytes key;
  Bytes value;
  Bytes headers;  // As they came.
  const uint8_t* end = nullptr;

  // Bytes of the headers as a slot has them (encodeHeaders). `isWellFormed`: false when they
  // cannot be read, and are left out.
  size_t headerBytes(bool& isWellFormed) const;
  // Writes as many, which must have been well formed.
  void encodeHeaders(uint8_t* out) const;
  // Offers name and value of each, until `take` returns false; none where they cannot be read.
  void eachHeader(const std::function<bool(const Bytes& name, const Bytes& value)>& take) const;
};

// Goes through a batch. After isBroken() nothing more of it can be read.
class BatchReader {
 public:
  explicit BatchReader(const Batch& batch)
      : batch_(&batch), at_(batch.bytes.data), next_(batch.from) {}

  // The next record; false at the end, or where the batch is broken.
  bool next() { return nextAt(nullptr); }
  // The next record that ends behind `place`; those before it are skipped by their lengths alone.
  bool nextAt(const uint8_t* place);
  const BatchRecord& record() const { return record_; }
  // How many records came before this one.
  int32_t index() const { return read_ - 1; }
  bool isBroken() const { return isBroken_; }

 private:
  bool parse(const uint8_t* end);
  bool takeAlone();

  const Batch* batch_;
  const uint8_t* at_;
  int64_t next_;  // Offsets rise.
  int32_t read_ = 0;
  bool isBroken_ = false;
  BatchRecord record_;
};

}  // namespace logpipe
