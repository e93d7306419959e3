// Puts records into a slot: the payload, the index, the runs, the header.
#pragma once

#include <rdkafka.h>

#include <memory>
#include <vector>

#include "headers.h"
#include "layout.h"
#include "pool.h"

namespace logpipe {

// Values from the front of a slot's payload, keys and headers from its back.
class Payload {
 public:
  Payload(layout::Slot slot, size_t bufferBytes)
      : slot_(slot), back_(bufferBytes), end_(bufferBytes) {}

  // Copies a record and writes its entry of the index. The caller has seen to it that it fits.
  void put(const rd_kafka_message_t& message, const Headers& headers, size_t index);
  // The entry alone: of an oversize record, whose bytes are elsewhere.
  void putEntry(const rd_kafka_message_t& message, const Headers& headers, size_t index,
                size_t valueStart, size_t metaStart) const;
  void finish() const;

 private:
  layout::Slot slot_;
  size_t front_ = 0;
  size_t back_;  // The first byte in use from the back.
  size_t end_;
};

class SlotWriter {
 public:
  struct Limits {
    size_t recordsMax;
    size_t bytesMax;
  };

  // Empties the slot. `view`: the messages are kept, and the caller has counted the view already;
  // otherwise those whose bytes are in the slot are put into `copied`, for the caller to return.
  SlotWriter(Pool& pool, const Pool::Use& use, const Limits& limits, bool view,
             std::vector<rd_kafka_message_t*>& copied);
  SlotWriter(const SlotWriter&) = delete;
  SlotWriter& operator=(const SlotWriter&) = delete;

  size_t records() const { return records_; }
  size_t bytes() const { return bytes_; }
  size_t recordsLeft() const { return isSealed_ ? 0 : limits_.recordsMax - records_; }
  size_t bytesLeft() const { return bytes_ < limits_.bytesMax ? limits_.bytesMax - bytes_ : 0; }
  bool isFull() const { return recordsLeft() == 0 || bytesLeft() == 0; }

  // Whether a record of these bytes (value, key, headers) may still be added, in a run of its own
  // or not. An empty slot takes any.
  bool fits(size_t recordBytes, bool needsRun) const;
  // Whether the last run is this assignment's, so that a record can go on with it.
  bool continues(int32_t assignmentId) const;

  struct Cover {
    int32_t assignmentId;
    double from;
    double to;
    double lowWatermark;
    bool newRun;
  };
  // Takes the message over.
  void add(rd_kafka_message_t* message, const Headers& headers, const Cover& cover,
           const std::shared_ptr<Client>& client);
  // Writes the header; a view that got no record is counted back.
  void finish();

 private:
  // No more comes of the last run.
  void endRun();

  Pool& pool_;
  const Pool::Use& use_;
  layout::Slot slot_;
  Limits limits_;
  Payload payload_;
  std::vector<rd_kafka_message_t*>& copied_;
  bool view_;
  rd_kafka_message_t* last_ = nullptr;  // Of the last run.
  bool isSealed_ = false;  // An oversize record is alone in its slot.
  size_t records_ = 0;
  size_t runs_ = 0;
  size_t bytes_ = 0;
  uint64_t valueBytes_ = 0;
  int32_t flags_ = 0;
};

}  // namespace logpipe
