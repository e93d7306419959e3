// A consumer: which partitions it reads, from where, and its batches on their way into slots.
//
// Used by one thread at a time (the registry sees to it). Owns the tiling: each run it writes
// begins at the assignment's expected offset and ends behind its last batch, so runs of one
// assignment cover the offsets without overlap and without a hole, whatever librdkafka redelivers.
#pragma once

#include <rdkafka.h>

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client.h"
#include "partition-list.h"
#include "pool.h"
#include "stash.h"

namespace logpipe {

struct FillLimits {
  size_t recordsMax;
  size_t bytesMax;
  size_t pullMax;
  int timeoutMs;
  size_t heldMax;
};

// A broker's answer to a question; only what was asked is there.
struct Answer {
  struct Topic {
    std::string topic;
    std::string id;  // 32 hex digits, or empty: the broker tells none.
    int32_t partitions;
    std::string error;
  };
  struct Member {
    std::string clientId;
    std::string host;
    std::string instanceId;  // Empty: a dynamic member.
  };
  int64_t question = 0;
  std::string error;  // Of the whole question.
  std::vector<PartitionResult> partitions;
  std::vector<Topic> topics;
  std::vector<Member> members;
};

// Questions that do not block: questions.cc. Each returns its number, which the answer carries.
class Questions {
 public:
  explicit Questions(rd_kafka_t* handle);
  Questions(const Questions&) = delete;
  Questions& operator=(const Questions&) = delete;
  ~Questions();

  // Null: all that the group has committed.
  int64_t committed(const std::vector<PartitionOffset>* partitions, int timeoutMs);
  // Each row's offset is a time, or logical.
  int64_t offsets(const std::vector<PartitionOffset>& partitions, int timeoutMs);
  int64_t topics(const std::vector<std::string>& topics, int timeoutMs);
  // Commits; each row's answer is its error.
  int64_t commit(const std::vector<PartitionOffset>& offsets);
  // Of any group, joined or not.
  int64_t members(const std::string& group, int timeoutMs);
  // Waits at most timeoutMs for the first.
  std::vector<Answer> answers(int timeoutMs);

 private:
  rd_kafka_t* handle_;
  rd_kafka_queue_t* queue_;
  std::vector<Answer> ready_;
  int64_t next_ = 1;
};

class Consumer {
 public:
  // Throws Refused.
  Consumer(const Properties& config, const std::vector<std::string>& topics);
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Records put in the slot, plus layout::FILL_EVENTS and FILL_FULL. Throws Misuse.
  int32_t fill(Pool& pool, double slotIndex, const FillLimits& limits);
  int32_t poll(int timeoutMs);
  std::vector<Event> events();
  std::vector<LogLine> logs() { return client_->logs.take(); }

  // In place of what was subscribed to before; empty: nothing, and the group is left.
  void subscribe(const std::vector<std::string>& topics) { client_->subscribe(topics); }
  // Takes partitions over from the group without reading them: begin() starts each.
  void hold(const std::vector<PartitionOffset>& partitions);
  void begin(const std::vector<AssignedPartition>& partitions);
  // Both in one.
  void assign(const std::vector<AssignedPartition>& partitions);
  void unassign(const std::vector<PartitionOffset>& partitions);
  bool assignmentLost() const { return rd_kafka_assignment_lost(client_->handle()) != 0; }
  void pause(const std::vector<int32_t>& assignmentIds);
  void resume(const std::vector<int32_t>& assignmentIds);
  void seek(int32_t assignmentId, int64_t offset);
  // Whether anything can be read from this offset on: told by an event, and nothing is delivered
  // until the assignment is paused and resumed, or sought.
  void probe(int32_t assignmentId, int64_t offset);
  // The same partition as another assignment: for a log that was truncated, whose offsets come
  // twice; or, with `isOther`, for another log, of which nothing was read.
  void restart(int32_t assignmentId, int32_t newAssignmentId, int64_t offset, bool isOther);
  // What was read of the partition, by this assignment and before it.
  const LogPast& past(int32_t assignmentId) const { return assignmentOf(assignmentId).past; }

  // Of the last record that was popped, or of the start: a commit of any offset up to there may
  // carry it (KIP-320), for the log is one log from the start to there. -1: unknown.
  int32_t leaderEpoch(int32_t assignmentId);

  std::vector<PartitionResult> commit(const std::vector<PartitionOffset>& offsets, int timeoutMs);
  std::vector<PartitionResult> committed(const std::vector<PartitionOffset>& partitions,
                                         int timeoutMs);
  std::vector<PartitionResult> offsetsForTimes(const std::vector<PartitionOffset>& partitions,
                                               int timeoutMs);
  struct Watermarks {
    int64_t low;
    int64_t high;
  };
  Watermarks watermarks(const PartitionOffset& partition, int timeoutMs);

  struct Metadata {
    struct Broker {
      int32_t id;
      std::string host;
      int port;
    };
    struct Topic {
      std::string topic;
      int partitions;
      std::string error;
    };
    std::vector<Broker> brokers;
    std::vector<Topic> topics;
  };
  // Null: all topics.
  Metadata metadata(const std::string* topic, int timeoutMs);

  // For connections made from now on.
  void setPassword(const std::string& username, const std::string& password);
  void setToken(const std::string& token, int64_t expiresMs, const std::string& principal);

  Questions& questions() { return questions_; }

  // Gives the consumer up; see Client::close.
  static bool close(std::unique_ptr<Consumer> consumer, int timeoutMs);

 private:
  int32_t eventsFlag() const;
  size_t pullCount(const Pool::Held& held, const FillLimits& limits) const;
  bool place(Pool& pool, Pool::Held& held, Stash::Entry& entry);
  void pushEnd(const Assignment& assignment, int64_t offset);
  void pushUnreadable(const Stash::Entry& entry);
  int64_t lowWatermark(Assignment& assignment);
  Assignment& assignmentOf(int32_t id) const;
  void seekPartitions(const std::vector<PartitionOffset>& partitions, const char* doing);
  int32_t poppedEpoch(const Assignment& assignment) const;
  void give(const std::vector<PartitionOffset>& partitions);
  void checkFree(const std::vector<PartitionOffset>& partitions) const;
  void checkNew(const std::vector<AssignedPartition>& partitions) const;
  void add(const AssignedPartition& partition);
  void forget(Assignment& assignment);
  static void startOver(Assignment& assignment);
  // Whether librdkafka may stand elsewhere than at the next offset to deliver.
  static bool isMoved(const Assignment& assignment);

  std::shared_ptr<Client> client_;
  Questions questions_;
  Assignments assignments_;
  // Taken from the group and not begun: librdkafka has them, paused.
  std::set<std::pair<std::string, int32_t>> held_;
  // By assignment: the leader epoch known last.
  std::unordered_map<int32_t, int32_t> epochs_;
  Stash stash_;
  // Of a batch, lately.
  double meanBytes_ = 16384;
  double meanRecords_ = 1;
};

}  // namespace logpipe
