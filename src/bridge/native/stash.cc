// Popping from librdkafka, and the order of what comes: see stash.h.
#include "stash.h"

#include <algorithm>

namespace logpipe {

Assignment* Assignments::find(const char* topic, int32_t partition) const {
  const auto byPartition = byTopic_.find(std::string_view(topic));
  if (byPartition == byTopic_.end()) return nullptr;
  const auto found = byPartition->second.find(partition);
  return found == byPartition->second.end() ? nullptr : found->second;
}

Assignment* Assignments::find(int32_t id) const {
  const auto found = byId_.find(id);
  return found == byId_.end() ? nullptr : found->second.get();
}

Assignment& Assignments::add(std::unique_ptr<Assignment> assignment) {
  Assignment& added = *assignment;
  byTopic_[added.topic][added.partition] = &added;
  byId_[added.id] = std::move(assignment);
  return added;
}

void Assignments::remove(Assignment& assignment) {
  const auto byPartition = byTopic_.find(assignment.topic);
  byPartition->second.erase(assignment.partition);
  if (byPartition->second.empty()) byTopic_.erase(byPartition);
  byId_.erase(assignment.id);
}

void Assignments::rename(int32_t id, int32_t newId) {
  auto node = byId_.extract(id);
  node.mapped()->id = newId;
  node.key() = newId;
  byId_.insert(std::move(node));
}

std::vector<Assignment*> Assignments::all() const {
  std::vector<Assignment*> all;
  for (const auto& [id, assignment] : byId_) all.push_back(assignment.get());
  return all;
}

Stash::~Stash() {
  for (; !empty(); pop()) rd_kafka_message_destroy(front().batch.message);
}

size_t Stash::pull(rd_kafka_queue_t* queue, size_t want, int timeoutMs) {
  if (buffer_.size() < want) buffer_.resize(want);
  const ssize_t popped = rd_kafka_consume_batch_queue(queue, timeoutMs, buffer_.data(), want);
  if (popped <= 0) return 0;
  const auto count = static_cast<size_t>(popped);
  pulls_++;
  lastTopic_ = nullptr;
  for (size_t index = 0; index < count; index++) admit(buffer_[index]);
  return count;
}

void Stash::pop() {
  head_++;
  if (head_ < entries_.size()) return;
  entries_.clear();
  head_ = 0;
}

void Stash::purge(const Assignment& assignment) {
  size_t kept = head_;
  for (size_t index = head_; index < entries_.size(); index++) {
    const Entry entry = entries_[index];
    if (entry.assignment == &assignment) {
      rd_kafka_message_destroy(entry.batch.message);
    } else {
      entries_[kept++] = entry;
    }
  }
  entries_.resize(kept);
  if (empty()) {
    entries_.clear();
    head_ = 0;
  }
}

Assignment* Stash::assignmentOf(const rd_kafka_message_t& message) {
  if (message.rkt != lastTopic_ || message.partition != lastPartition_) {
    lastTopic_ = message.rkt;
    lastPartition_ = message.partition;
    lastAssignment_ = nullptr;
    if (message.rkt != nullptr) {
      const char* topic = rd_kafka_topic_name(message.rkt);
      lastAssignment_ = assignments_.find(topic, message.partition);
    }
  }
  return lastAssignment_;
}

// An error that names an offset stands in the place of records that could not be read. librdkafka
// may go on behind it, so the assignment is halted there: a hole is never taken for compaction.
void Stash::admit(rd_kafka_message_t* message) {
  Assignment* assignment = assignmentOf(*message);
  const bool isError = message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (isError && (assignment == nullptr || message->offset < 0)) {
    reportError(*message);
    rd_kafka_message_destroy(message);
    return;
  }
  if (assignment == nullptr || assignment->isStopped || assignment->isHalted) {
    rd_kafka_message_destroy(message);
    return;
  }
  Batch batch = message->err ? Batch{} : Batch::of(message);
  batch.message = message;
  const bool isDamaged = !message->err && assignment->isDoubted && !batch.isWhole();
  const bool isRecord = !message->err && !isDamaged;
  if ((isRecord && !isInOrder(batch, *assignment)) || assignment->isPaused) {
    rd_kafka_message_destroy(message);
    return;
  }
  const bool isUnreadable = isError || isDamaged;
  if (assignment->isProbed && !isUnreadable) {
    Event event;
    event.kind = Event::Kind::Readable;
    event.assignmentId = assignment->id;
    event.offset = isRecord ? batch.from : message->offset;
    events_.push(std::move(event));
    assignment->isHalted = true;
    rd_kafka_message_destroy(message);
    return;
  }
  assignment->isHalted |= isUnreadable;
  entries_.push_back(Entry{batch, assignment, isDamaged});
}

// A batch below one that was popped already comes for one of two reasons.
//
// Redelivery, by a race within librdkafka: (1) this thread takes batches out of its queue; (2)
// before they are counted as consumed, librdkafka's main thread pauses the partition for a
// rebalance and notes the position from before them; (3) the partition is resumed there, and they
// come again. Then the first is the very batch with which the last pull began, and all up to
// poppedNext is dropped.
//
// A rewind: the log was truncated, or the topic deleted and made anew. Everything after it is
// another log's, so nothing is delivered until the caller, told by the event, says where to go on.
bool Stash::isInOrder(const Batch& batch, Assignment& assignment) {
  const Assignment::First now{pulls_, batch.from, batch.baseTimestamp, batch.bytes.size,
                              batch.records};
  // Before the first one, the start counts: a group may have committed offsets of an older log.
  const int64_t next = std::max(assignment.poppedNext, assignment.expected);
  if (batch.from < next) {
    const Assignment::First& first = assignment.first;
    if (first.pull != 0 && first.offset == now.offset && first.timestamp == now.timestamp &&
        first.bytes == now.bytes && first.records == now.records) {
      assignment.isRedelivering = true;
    }
    if (!assignment.isRedelivering) {
      Event event;
      event.kind = Event::Kind::Rewind;
      event.assignmentId = assignment.id;
      event.expected = next;
      event.offset = batch.from;
      events_.push(std::move(event));
      assignment.isStopped = true;
      return false;
    }
    if (batch.to <= next) return false;
  }
  assignment.isRedelivering = false;
  if (assignment.expected < 0) assignment.expected = batch.from;
  if (assignment.first.pull != pulls_) assignment.first = now;
  assignment.poppedNext = batch.to;
  return true;
}

void Stash::reportError(const rd_kafka_message_t& message) {
  const char* topic = message.rkt == nullptr ? nullptr : rd_kafka_topic_name(message.rkt);
  events_.error(message.err, rd_kafka_message_errstr(&message), topic,
                topic == nullptr ? -1 : message.partition, message.offset);
}

}  // namespace logpipe
