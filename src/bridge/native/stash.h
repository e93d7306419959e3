// What was popped from librdkafka and is not yet in a slot, and whether it may get there.
//
// Bound: PULL_MAX batches of one fill, plus STASH_POLL_MAX from polls. Purged of an assignment's
// batches when that is paused, sought, stopped or unassigned: a later assignment of the same
// partition must not get them, because they would look like a gap before them.
#pragma once

#include <rdkafka.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "batch.h"
#include "events.h"
#include "log-past.h"

namespace logpipe {

// A partition while it is assigned. Owned by the consumer's thread.
struct Assignment {
  int32_t id = 0;
  std::string topic;
  int32_t partition = -1;
  // The offset that the next tile begins with; -1: known with the first record.
  int64_t expected = -1;
  int64_t stop = INT64_MAX;  // Nothing from this offset on is delivered.
  int64_t poppedNext = -1;   // The offset after the last one popped; -1: none popped yet.
  LogPast past;              // As far as records were delivered.
  bool isPaused = false;
  bool isStopped = false;  // After a rewind, or at the stop: until it is sought or assigned again.
  // An error came where a record was due, or a probe was answered: nothing more of it gets into the
  // stash until it is resumed, sought or probed, or what comes next would cover the hole.
  bool isHalted = false;
  bool isProbed = false;  // Nothing is delivered: whatever comes first answers the probe.
  // A scan met a batch whose records cannot be told apart. Each is walked before it is delivered
  // from then on, so that such a one is met where it is due.
  bool isDoubted = false;
  bool isRedelivering = false;

  // The first batch of the last pull that had any of this partition.
  struct First {
    uint64_t pull = 0;  // 0: there is none.
    int64_t offset = -1;
    int64_t timestamp = -1;
    size_t bytes = 0;
    int32_t records = 0;
  } first;

  // The partition's low watermark as librdkafka knew it after that pull.
  uint64_t lowPull = 0;
  int64_t low = -1;
};

class Assignments {
 public:
  Assignment* find(const char* topic, int32_t partition) const;
  Assignment* find(int32_t id) const;
  Assignment& add(std::unique_ptr<Assignment> assignment);
  void remove(Assignment& assignment);
  void rename(int32_t id, int32_t newId);
  std::vector<Assignment*> all() const;

 private:
  std::unordered_map<int32_t, std::unique_ptr<Assignment>> byId_;
  std::map<std::string, std::unordered_map<int32_t, Assignment*>, std::less<>> byTopic_;
};

class Stash {
 public:
  struct Entry {
    Batch batch;  // Without records: the end of a partition, which keeps its place in between.
    Assignment* assignment;
    bool isDamaged;  // Its records cannot be told apart.
  };

  Stash(const Assignments& assignments, EventQueue& events)
      : assignments_(assignments), events_(events) {}
  Stash(const Stash&) = delete;
  Stash& operator=(const Stash&) = delete;
  ~Stash();

  // Pops at most `want` messages, waiting at most timeoutMs until there are as many.
  // Returns how many were popped, of which not all need be in the stash.
  size_t pull(rd_kafka_queue_t* queue, size_t want, int timeoutMs);
  uint64_t pulls() const { return pulls_; }

  bool empty() const { return head_ == entries_.size(); }
  size_t size() const { return entries_.size() - head_; }
  Entry& front() { return entries_[head_]; }
  // The front's message has been taken over or destroyed.
  void pop();
  void purge(const Assignment& assignment);

 private:
  void admit(rd_kafka_message_t* message);
  Assignment* assignmentOf(const rd_kafka_message_t& message);
  bool isInOrder(const Batch& batch, Assignment& assignment);
  void reportError(const rd_kafka_message_t& message);

  const Assignments& assignments_;
  EventQueue& events_;
  std::vector<rd_kafka_message_t*> buffer_;
  std::vector<Entry> entries_;
  size_t head_ = 0;
  uint64_t pulls_ = 0;
  // The topic and partition of the last message: the next one is mostly of the same.
  const void* lastTopic_ = nullptr;
  int32_t lastPartition_ = -1;
  Assignment* lastAssignment_ = nullptr;
};

}  // namespace logpipe
