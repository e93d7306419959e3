// What happened to a consumer, until TypeScript fetches it: events and log lines, both bounded.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "partition-list.h"

namespace logpipe {

// Each row of ConsumerEvent in src/bridge/bridge.ts; only the fields of its kind are set.
struct Event {
  enum class Kind { Assign, Revoke, Error, End, Commit, Rewind, Unreadable, Readable, Dropped };
  Kind kind = Kind::Error;
  bool lost = false;
  bool fatal = false;
  bool hasTopic = false;
  std::string code;
  std::string message;
  std::string topic;
  int32_t partition = -1;
  int64_t offset = RD_KAFKA_OFFSET_INVALID;
  int32_t assignmentId = 0;
  int64_t expected = 0;
  std::vector<PartitionResult> partitions;
  int64_t count = 0;
};

// Filled by the consumer's thread, within whose calls librdkafka's callbacks run, and by threads
// that scan its batches.
class EventQueue {
 public:
  // Reports (errors, ends, commits) beyond this are counted and dropped. Enough for a report about
  // each of a thousand partitions between two calls; 300 KB at most. Assign, revoke, rewind and
  // (un)readable are never dropped, because somebody must answer them, and are bounded by that: one
  // rebalance is open at a time, the others stop their assignment, and a slot that is scanned finds
  // a damaged batch once a run. A fatal error comes once.
  static constexpr size_t EVENTS_MAX = 1024;

  void push(Event event) {
    const std::lock_guard lock(mutex_);
    using Kind = Event::Kind;
    const bool mustArrive = event.kind == Kind::Assign || event.kind == Kind::Revoke ||
                            event.kind == Kind::Rewind || event.kind == Kind::Unreadable ||
                            event.kind == Kind::Readable || event.fatal;
    if (!mustArrive && events_.size() >= EVENTS_MAX) {
      dropped_++;
      return;
    }
    events_.push_back(std::move(event));
  }

  // The one way of an error into the queue, whether librdkafka called back with it or put it among
  // the records. RD_KAFKA_RESP_ERR__FATAL is no error of its own: it says that the client has one
  // that is fatal, and Client::reportFatal() asks for that.
  void error(rd_kafka_resp_err_t code, std::string message, const char* topic = nullptr,
             int32_t partition = -1, int64_t offset = RD_KAFKA_OFFSET_INVALID) {
    if (code == RD_KAFKA_RESP_ERR__FATAL) return;
    Event event;
    event.kind = Event::Kind::Error;
    event.code = rd_kafka_err2name(code);
    event.message = std::move(message);
    event.hasTopic = topic != nullptr;
    if (event.hasTopic) event.topic = topic;
    event.partition = partition;
    event.offset = offset;
    push(std::move(event));
  }

  bool empty() const {
    const std::lock_guard lock(mutex_);
    return events_.empty() && dropped_ == 0;
  }

  std::vector<Event> take() {
    const std::lock_guard lock(mutex_);
    std::vector<Event> taken = std::move(events_);
    events_.clear();
    if (dropped_ > 0) {
      Event event;
      event.kind = Event::Kind::Dropped;
      event.count = dropped_;
      taken.push_back(std::move(event));
      dropped_ = 0;
    }
    return taken;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Event> events_;
  int64_t dropped_ = 0;
};

struct LogLine {
  int level = 0;
  std::string facility;
  std::string message;
};

// Filled by any thread of librdkafka, emptied by the consumer's.
class LogQueue {
 public:
  // The newest lines are kept: about 200 KB. A broker that goes away makes a few lines a second.
  static constexpr size_t LINES_MAX = 1000;

  void push(int level, const char* facility, const char* message) {
    std::lock_guard lock(mutex_);
    if (lines_.size() >= LINES_MAX) {
      lines_.pop_front();
      dropped_++;
    }
    lines_.push_back(LogLine{level, facility, message});
  }

  std::vector<LogLine> take() {
    std::lock_guard lock(mutex_);
    std::vector<LogLine> taken;
    if (dropped_ > 0) {
      const std::string count = std::to_string(dropped_);
      taken.push_back(LogLine{4, "LOGDROP", count + " older lines of librdkafka were dropped"});
      dropped_ = 0;
    }
    for (LogLine& line : lines_) taken.push_back(std::move(line));
    lines_.clear();
    return taken;
  }

 private:
  std::mutex mutex_;
  std::deque<LogLine> lines_;
  int64_t dropped_ = 0;
};

}  // namespace logpipe
