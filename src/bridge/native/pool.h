// The pool: shared memory that TypeScript owns, and the batches that its slots hold.
//
// A slot that was filled holds batches: librdkafka's memory, pinned by its messages, and nothing of
// it is in the slot's own memory but the runs. A scan copies what the matcher keeps into the slot's
// payload. When that is full the scan ends with SLOT_FLAG_MORE: its runs then end with what it got
// to, and the next scan goes on from there. The last one gives the batches back.
//
// A hit larger than the payload is the only one of its scan (SLOT_FLAG_OVERSIZE): copyOversize
// hands it out until the next scan.
//
// Of a set of alternatives, a hit has the numbers of those that hold behind its headers; and where
// one has dropped records (SLOT_FLAG_DROPPED), `dropped` says how many until the next scan.
//
// Bound: a fill waits while slots hold FillLimits::heldMax bytes of batches. What it takes then may
// go over it, by BATCH_BYTES and one batch for each consumer.
//
// Threads: slots are used by whoever owns their state word; `Use` turns two at once into an error.
#pragma once

#include <rdkafka.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "batch.h"
#include "client.h"
#include "filter.h"
#include "layout.h"
#include "scan.h"

namespace logpipe {

class Pool {
 public:
  // What a scan needs to go on.
  struct Scan {
    explicit Scan(const Filter& with) : filter(with) {}
    Filter filter;
    size_t run = 0;
    size_t batch = 0;
    std::optional<BatchScan> hits;  // Of the batch.
    bool isHitLeft = false;         // Its hit did not fit.
    bool isOversize = false;        // Its hit was handed out as such.
    // Of the run: in batches before this one, and in runs that were written already.
    int32_t recordsBefore = 0;
    int32_t recordsReported = 0;
  };

  // So many records of a row of runs met this alternative but for its `drop`, and no other.
  struct Dropped {
    int32_t row;
    int32_t alternative;
    int32_t records;
  };

  // The batches of a slot. `runs` has the rest that is still to be reported, and where each ends.
  struct Held {
    std::atomic<bool> inUse{false};
    std::vector<Batch> batches;
    std::vector<layout::Run> runs;
    std::vector<size_t> runEnds;
    std::shared_ptr<Client> client;  // Whose messages they are.
    int32_t records = 0;
    size_t bytes = 0;  // As librdkafka holds them.
    uint64_t wantedBytes = 0;
    std::optional<Scan> scan;
    bool isScanned = false;
    std::vector<Dropped> dropped;  // Of the last scan.
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
  // Bytes of the batches that slots hold.
  size_t bytes() const { return bytes_.load(); }
  // Waits until there are fewer than bytesMax; false when there are not.
  bool waitForRoom(size_t bytesMax, int timeoutMs);

  // Puts a batch into the slot: behind the last run, or into a new one.
  void add(Held& held, const Batch& batch, const std::shared_ptr<Client>& client,
           const layout::Run* newRun);
  // Writes the runs and the header.
  void finish(const Use& use) const;

  // Hits, now in the slot's index. `filter` is asked for by the first scan of a slot.
  size_t scan(double slotIndex, const std::function<Filter()>& filter);

  struct Oversize {
    bool hasValue = false;
    bool hasKey = false;
    std::string value;
    std::string key;
    std::string headers;
    std::vector<uint16_t> alternatives;
  };
  Oversize copyOversize(double slotIndex);
  // Of the last scan.
  std::vector<Dropped> dropped(double slotIndex);
  void discard(double slotIndex);

  // Gives back what a slot holds.
  void release(Held& held);

 private:
  uint8_t* memory_;
  layout::Shape shape_;
  std::vector<Held> held_;
  std::atomic<size_t> bytes_{0};
  std::atomic<int> waiting_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace logpipe
