// The pool: shared memory that TypeScript owns, and what its slots hold of librdkafka's memory.
//
// A slot is in one of two forms, and TypeScript sees no difference after the scan:
//   copy   value, key and headers of every record are in its payload; the index speaks of all
//   view   the messages are kept here until the scan, which reads librdkafka's memory and copies
//          only the hits; until then no entry of the index is written
// An oversize record (larger than a payload) is a slot of its own, always a view, kept until
// copyOversize or discard.
//
// Threads: slots are used by whoever owns their state word; `Use` turns two at once into an error.
#pragma once

#include <rdkafka.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "client.h"
#include "layout.h"
#include "matcher.h"

namespace logpipe {

class Pool {
 public:
  struct Held {
    std::atomic<bool> inUse{false};
    std::vector<rd_kafka_message_t*> messages;  // Empty: it holds nothing of librdkafka's.
    std::shared_ptr<Client> client;             // Whose messages they are.
    bool oversizeHit = false;                   // The scan found the oversize record.
    bool hitsOnly = false;                      // Scanned as a view: other entries are not written.
  };

  // For the time of one call on one slot. Throws Misuse when the index is out of range or another
  // thread is at it.
  class Use {
   public:
    Use(Pool& pool, double slotIndex);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { held_->inUse.store(false, std::memory_order_release); }
    layout::Slot slot() const { return slot_; }
    Held& held() const { return *held_; }
    // Throws Misuse unless the state word is one of these.
    void require(int32_t state, int32_t orState) const;

   private:
    Held* held_;
    layout::Slot slot_;
    size_t index_;
  };

  // Throws Misuse when the shape is out of bounds or the memory is smaller than it says.
  Pool(uint8_t* memory, size_t memoryBytes, const layout::Shape& shape);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  const layout::Shape& shape() const { return shape_; }
  size_t views() const { return views_.load(std::memory_order_relaxed); }

  // Counts one more slot as a view; false when there are viewsMax already.
  bool tryAddView(size_t viewsMax);
  void addView() { views_.fetch_add(1, std::memory_order_relaxed); }
  void dropView() { views_.fetch_sub(1, std::memory_order_relaxed); }

  // Indexes of matching records, ascending, into hits (room for shape().recordsMax).
  size_t scan(double slotIndex, const Matcher& matcher, int32_t* hits);

  struct Oversize {
    bool hasValue = false;
    bool hasKey = false;
    std::string value;
    std::string key;
    std::string headers;
  };
  Oversize copyOversize(double slotIndex);
  void discard(double slotIndex);

  // Returns the messages that a slot holds.
  void release(Held& held);

 private:
  size_t scanCopy(const Use& use, const Matcher& matcher, int32_t* hits) const;
  size_t scanView(const Use& use, const Matcher& matcher, int32_t* hits) const;

  uint8_t* memory_;
  layout::Shape shape_;
  std::vector<Held> held_;
  std::atomic<size_t> views_{0};
};

}  // namespace logpipe
