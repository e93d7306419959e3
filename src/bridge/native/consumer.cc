// Assignments, positions and requests of a consumer: see consumer.h. Filling is in fill.cc.
#include "consumer.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "failure.h"

namespace logpipe {
namespace {

// librdkafka's main thread answers a seek within milliseconds; when it does not, something is wrong
// with the client, and the call can be made again.
constexpr int SEEK_TIMEOUT_MS = 5000;
constexpr int SEEK_PAUSE_MS = 10;

void check(rd_kafka_error_t* error, const char* doing) {
  if (error != nullptr) throw Refused(error, doing);
}

void check(rd_kafka_resp_err_t error, const char* doing) {
  if (error) throw Refused(error, doing);
}

std::string nameOf(const PartitionOffset& partition) {
  return partition.topic + " [" + std::to_string(partition.partition) + "]";
}

}  // namespace

Consumer::Consumer(const Properties& config, const std::vector<std::string>& topics)
    : client_(Client::open(config, topics)),
      questions_(client_->handle()),
      stash_(assignments_, client_->events) {}

bool Consumer::close(std::unique_ptr<Consumer> consumer, int timeoutMs) {
  std::shared_ptr<Client> client = consumer->client_;
  consumer.reset();  // The stash's messages go first.
  return Client::close(std::move(client), timeoutMs);
}

// Where a scan met a damaged batch, others behind it may be in slots already. All from there on is
// read again, as another assignment, and each batch walked before it is delivered.
std::vector<Event> Consumer::events() {
  std::vector<Event> events = client_->events.take();
  for (const Event& event : events) {
    if (event.kind != Event::Kind::Rewind || event.message.empty()) continue;
    Assignment* assignment = assignments_.find(event.assignmentId);
    if (assignment == nullptr) continue;
    assignment->isStopped = true;
    assignment->isDoubted = true;
    stash_.purge(*assignment);
  }
  return events;
}

Assignment& Consumer::assignmentOf(int32_t id) const {
  Assignment* assignment = assignments_.find(id);
  if (assignment == nullptr) throw Misuse("no such assignment: " + std::to_string(id));
  return *assignment;
}

void Consumer::assign(const std::vector<AssignedPartition>& partitions) {
  checkNew(partitions);
  const std::vector<PartitionOffset> places(partitions.begin(), partitions.end());
  checkFree(places);
  give(places);
  for (const AssignedPartition& partition : partitions) add(partition);
}

void Consumer::hold(const std::vector<PartitionOffset>& partitions) {
  checkFree(partitions);
  PartitionList paused;
  std::vector<PartitionOffset> places = partitions;
  for (PartitionOffset& place : places) {
    place.offset = 0;  // A real one, so that nobody is asked where it is.
    place.leaderEpoch = -1;
    paused.add(place.topic, place.partition, RD_KAFKA_OFFSET_INVALID);
  }
  // Before, so that nothing is fetched; after, for those that librdkafka did not know before.
  if (!places.empty()) rd_kafka_pause_partitions(client_->handle(), paused.get());
  give(places);
  if (!places.empty()) rd_kafka_pause_partitions(client_->handle(), paused.get());
  for (const PartitionOffset& place : places) held_.emplace(place.topic, place.partition);
}

// A seek, unlike an assign, lets librdkafka compare the epoch with the leader's log: where that was
// cut off below the offset, it goes on at the cut, and the record that comes is a rewind.
void Consumer::begin(const std::vector<AssignedPartition>& partitions) {
  checkNew(partitions);
  PartitionList list;
  for (const AssignedPartition& partition : partitions) {
    if (!held_.contains({partition.topic, partition.partition})) {
      throw Misuse(nameOf(partition) + " is not held");
    }
    list.add(partition.topic, partition.partition, RD_KAFKA_OFFSET_INVALID);
  }
  if (partitions.empty()) return;
  seekPartitions({partitions.begin(), partitions.end()}, "cannot begin");
  check(rd_kafka_resume_partitions(client_->handle(), list.get()), "cannot begin");
  for (const AssignedPartition& partition : partitions) {
    held_.erase({partition.topic, partition.partition});
    add(partition);
  }
}

// To librdkafka: incrementally when the protocol is cooperative, or when there is none.
void Consumer::give(const std::vector<PartitionOffset>& partitions) {
  const PartitionList list(partitions);
  if (client_->isEager()) {
    if (!assignments_.all().empty() || !held_.empty()) {
      throw Refused("_STATE", "the group's protocol replaces all partitions: unassign them first");
    }
    check(rd_kafka_assign(client_->handle(), list.get()), "cannot assign");
  } else {
    check(rd_kafka_incremental_assign(client_->handle(), list.get()), "cannot assign");
  }
  client_->rebalance.reset();
}

void Consumer::checkFree(const std::vector<PartitionOffset>& partitions) const {
  std::set<std::pair<std::string, int32_t>> named;
  for (const PartitionOffset& partition : partitions) {
    const std::pair<std::string, int32_t> name(partition.topic, partition.partition);
    if (!named.insert(name).second || held_.contains(name) ||
        assignments_.find(partition.topic.c_str(), partition.partition) != nullptr) {
      throw Misuse(nameOf(partition) + " is assigned already");
    }
  }
}

void Consumer::checkNew(const std::vector<AssignedPartition>& partitions) const {
  std::set<int32_t> ids;
  for (const AssignedPartition& partition : partitions) {
    if (!ids.insert(partition.assignmentId).second ||
        assignments_.find(partition.assignmentId) != nullptr) {
      throw Misuse("assignment " + std::to_string(partition.assignmentId) + " exists already");
    }
  }
}

void Consumer::add(const AssignedPartition& partition) {
  auto assignment = std::make_unique<Assignment>();
  assignment->id = partition.assignmentId;
  assignment->topic = partition.topic;
  assignment->partition = partition.partition;
  assignment->expected = partition.offset >= 0 ? partition.offset : -1;
  assignment->stop = partition.stopOffset;
  assignment->past = partition.past;
  epochs_[partition.assignmentId] = partition.leaderEpoch;
  assignments_.add(std::move(assignment));
}

// Whatever librdkafka says to it, the partitions are forgotten: their records must not be delivered
// any more.
void Consumer::unassign(const std::vector<PartitionOffset>& partitions) {
  std::vector<Assignment*> leaving;
  const bool isAll = partitions.empty() || client_->isEager();
  if (isAll) leaving = assignments_.all();
  for (const PartitionOffset& partition : partitions) {
    if (isAll) break;
    Assignment* assignment = assignments_.find(partition.topic.c_str(), partition.partition);
    if (assignment != nullptr) leaving.push_back(assignment);
  }
  // librdkafka keeps the pause of a partition beyond its assignment.
  PartitionList paused;
  const PartitionList list(partitions);
  PartitionList all;
  const auto letGo = [&](const std::string& topic, int32_t partition) {
    paused.add(topic, partition, RD_KAFKA_OFFSET_INVALID);
    all.add(topic, partition, RD_KAFKA_OFFSET_INVALID);
  };
  if (isAll) {
    for (const auto& [topic, partition] : held_) letGo(topic, partition);
    held_.clear();
  }
  for (const PartitionOffset& partition : partitions) {
    if (held_.erase({partition.topic, partition.partition}) > 0) {
      letGo(partition.topic, partition.partition);
    }
  }
  for (Assignment* assignment : leaving) {
    all.add(assignment->topic, assignment->partition, RD_KAFKA_OFFSET_INVALID);
    if (assignment->isPaused) {
      paused.add(assignment->topic, assignment->partition, RD_KAFKA_OFFSET_INVALID);
    }
    forget(*assignment);
  }
  if (paused.count() > 0) rd_kafka_resume_partitions(client_->handle(), paused.get());

  const std::optional<Client::Rebalance> rebalance =
      std::exchange(client_->rebalance, std::nullopt);
  rd_kafka_t* handle = client_->handle();
  if (client_->isEager()) {
    check(rd_kafka_assign(handle, nullptr), "cannot unassign");
    return;
  }
  if (rebalance.has_value() && rebalance->isAssign) {
    // The caller wants none of what the group gave: the answer to that is an assignment of nothing.
    const PartitionList none;
    check(rd_kafka_incremental_assign(handle, none.get()), "cannot answer the assignment");
  }
  if (!partitions.empty()) {
    check(rd_kafka_incremental_unassign(handle, list.get()), "cannot unassign");
  } else if (rebalance.has_value() && !rebalance->isAssign && all.count() == 0) {
    const PartitionList revoked(rebalance->partitions);
    check(rd_kafka_incremental_unassign(handle, revoked.get()), "cannot unassign");
  } else if (all.count() > 0) {
    check(rd_kafka_incremental_unassign(handle, all.get()), "cannot unassign");
  }
}

void Consumer::forget(Assignment& assignment) {
  stash_.purge(assignment);
  epochs_.erase(assignment.id);
  assignments_.remove(assignment);
}

int32_t Consumer::poppedEpoch(const Assignment& assignment) const {
  if (assignment.poppedNext < 0 && !assignment.isStopped) return -1;
  PartitionList list;
  list.add(assignment.topic, assignment.partition, RD_KAFKA_OFFSET_INVALID);
  check(rd_kafka_position(client_->handle(), list.get()), "cannot read the position");
  return rd_kafka_topic_partition_get_leader_epoch(&list.get()->elems[0]);
}

// After a rewind, the record that was popped last is of the other log.
int32_t Consumer::leaderEpoch(int32_t assignmentId) {
  const Assignment& assignment = assignmentOf(assignmentId);
  int32_t& epoch = epochs_[assignmentId];
  if (!assignment.isStopped) epoch = std::max(epoch, poppedEpoch(assignment));
  return epoch;
}

void Consumer::startOver(Assignment& assignment) {
  assignment.poppedNext = assignment.expected;
  assignment.first = {};
  assignment.isRedelivering = false;
  assignment.isHalted = false;
  assignment.isProbed = false;
}

void Consumer::pause(const std::vector<int32_t>& assignmentIds) {
  const PartitionList list;
  std::vector<Assignment*> paused;
  for (const int32_t id : assignmentIds) {
    Assignment& assignment = assignmentOf(id);
    if (assignment.isPaused) continue;
    rd_kafka_topic_partition_list_add(list.get(), assignment.topic.c_str(), assignment.partition);
    paused.push_back(&assignment);
  }
  if (paused.empty()) return;
  check(rd_kafka_pause_partitions(client_->handle(), list.get()), "cannot pause");
  for (Assignment* assignment : paused) {
    assignment->isPaused = true;
    stash_.purge(*assignment);
  }
}

// librdkafka goes on behind the last record that was popped; records of the stash were purged, so
// it is told where to go on, whenever anything was popped at all, an error among it. (When nothing
// was, it goes on where it started, and a seek to a logical offset could lead elsewhere.)
void Consumer::resume(const std::vector<int32_t>& assignmentIds) {
  PartitionList resumed;
  std::vector<PartitionOffset> sought;
  std::vector<Assignment*> assignments;
  for (const int32_t id : assignmentIds) {
    Assignment& assignment = assignmentOf(id);
    const bool isListed =
        std::find(assignments.begin(), assignments.end(), &assignment) != assignments.end();
    if (!assignment.isPaused || isListed) continue;
    assignments.push_back(&assignment);
    resumed.add(assignment.topic, assignment.partition, RD_KAFKA_OFFSET_INVALID);
    if (isMoved(assignment)) {
      sought.push_back(
          {assignment.topic, assignment.partition, assignment.expected, leaderEpoch(id), ""});
    }
  }
  if (assignments.empty()) return;
  if (!sought.empty()) seekPartitions(sought, "cannot go back to the next offset");
  check(rd_kafka_resume_partitions(client_->handle(), resumed.get()), "cannot resume");
  for (Assignment* assignment : assignments) {
    assignment->isPaused = false;
    if (isMoved(*assignment)) startOver(*assignment);
  }
}

bool Consumer::isMoved(const Assignment& assignment) {
  return assignment.expected >= 0 &&
         (assignment.poppedNext >= 0 || assignment.isHalted || assignment.isProbed);
}

void Consumer::probe(int32_t assignmentId, int64_t offset) {
  Assignment& assignment = assignmentOf(assignmentId);
  seekPartitions({{assignment.topic, assignment.partition, offset, -1, ""}}, "cannot probe");
  stash_.purge(assignment);
  if (assignment.isPaused) {
    PartitionList list;
    list.add(assignment.topic, assignment.partition, RD_KAFKA_OFFSET_INVALID);
    check(rd_kafka_resume_partitions(client_->handle(), list.get()), "cannot resume");
    assignment.isPaused = false;
  }
  startOver(assignment);
  assignment.isProbed = true;
}

void Consumer::seek(int32_t assignmentId, int64_t offset) {
  Assignment& assignment = assignmentOf(assignmentId);
  seekPartitions({{assignment.topic, assignment.partition, offset, -1, ""}}, "cannot seek");
  stash_.purge(assignment);
  assignment.expected = offset >= 0 ? offset : -1;
  assignment.isStopped = false;
  startOver(assignment);
  if (assignment.isPaused && offset < 0) assignment.poppedNext = -1;
}

void Consumer::restart(int32_t assignmentId, int32_t newAssignmentId, int64_t offset,
                       bool isOther) {
  if (assignments_.find(newAssignmentId) != nullptr) {
    throw Misuse("assignment " + std::to_string(newAssignmentId) + " exists already");
  }
  // The record that was a rewind is of the other log already.
  const Assignment& before = assignmentOf(assignmentId);
  const int32_t epoch = before.isStopped ? poppedEpoch(before) : -1;
  seek(assignmentId, offset);
  if (isOther) assignmentOf(assignmentId).past = {};
  assignments_.rename(assignmentId, newAssignmentId);
  epochs_.erase(assignmentId);
  epochs_[newAssignmentId] = epoch;
}

// A partition that is just being given to librdkafka, behind others that it still stops, has no
// position to be moved yet (_STATE): soon it has.
void Consumer::seekPartitions(const std::vector<PartitionOffset>& partitions, const char* doing) {
  const auto giveUp = std::chrono::steady_clock::now() + std::chrono::milliseconds(SEEK_TIMEOUT_MS);
  std::vector<PartitionOffset> left = partitions;
  while (!left.empty()) {
    const PartitionList list(left);
    check(rd_kafka_seek_partitions(client_->handle(), list.get(), SEEK_TIMEOUT_MS), doing);
    const std::vector<PartitionResult> rows = list.rows();
    std::vector<PartitionOffset> again;
    for (size_t index = 0; index < rows.size(); index++) {
      const std::string& error = rows[index].error;
      if (error.empty()) continue;
      const bool isLate = std::chrono::steady_clock::now() >= giveUp;
      if (error != "_STATE" || isLate) {
        throw Refused(error, std::string(doing) + ": " + nameOf(rows[index]) + ": " + error);
      }
      again.push_back(left[index]);
    }
    left = std::move(again);
    if (!left.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(SEEK_PAUSE_MS));
  }
}

// rd_kafka_commit() has no time-out; a queue of one's own does.
std::vector<PartitionResult> Consumer::commit(const std::vector<PartitionOffset>& offsets,
                                              int timeoutMs) {
  rd_kafka_t* handle = client_->handle();
  const PartitionList list(offsets);
  if (timeoutMs == 0) {
    check(rd_kafka_commit(handle, list.get(), 1), "cannot commit");
    return list.rows();
  }
  struct Answer {
    rd_kafka_queue_t* queue;
    rd_kafka_event_t* event = nullptr;
    ~Answer() {
      if (event != nullptr) rd_kafka_event_destroy(event);
      rd_kafka_queue_destroy(queue);
    }
  } answer{rd_kafka_queue_new(handle)};
  check(rd_kafka_commit_queue(handle, list.get(), answer.queue, nullptr, nullptr), "cannot commit");
  answer.event = rd_kafka_queue_poll(answer.queue, timeoutMs);
  if (answer.event == nullptr) throw Refused(RD_KAFKA_RESP_ERR__TIMED_OUT, "cannot commit");
  const auto error = rd_kafka_event_error(answer.event);
  std::vector<PartitionResult> rows =
      PartitionList::rows(rd_kafka_event_topic_partition_list(answer.event));
  const bool isInRows = std::any_of(rows.begin(), rows.end(),
                                    [](const PartitionResult& row) { return !row.error.empty(); });
  if (!isInRows) check(error, "cannot commit");
  return rows;
}

std::vector<PartitionResult> Consumer::committed(const std::vector<PartitionOffset>& partitions,
                                                 int timeoutMs) {
  const PartitionList list(partitions);
  check(rd_kafka_committed(client_->handle(), list.get(), timeoutMs), "cannot ask the group");
  return list.rows();
}

std::vector<PartitionResult> Consumer::offsetsForTimes(
    const std::vector<PartitionOffset>& partitions, int timeoutMs) {
  const PartitionList list(partitions);
  if (partitions.empty()) return {};
  check(rd_kafka_offsets_for_times(client_->handle(), list.get(), timeoutMs),
        "cannot look offsets up");
  return list.rows();
}

Consumer::Watermarks Consumer::watermarks(const PartitionOffset& partition, int timeoutMs) {
  Watermarks marks{RD_KAFKA_OFFSET_INVALID, RD_KAFKA_OFFSET_INVALID};
  const char* topic = partition.topic.c_str();
  if (timeoutMs > 0) {
    check(rd_kafka_query_watermark_offsets(client_->handle(), topic, partition.partition,
                                           &marks.low, &marks.high, timeoutMs),
          "cannot ask for the watermarks");
    return marks;
  }
  const auto error = rd_kafka_get_watermark_offsets(client_->handle(), topic, partition.partition,
                                                    &marks.low, &marks.high);
  if (error != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) check(error, "cannot read the watermarks");
  return marks;
}

void Consumer::setPassword(const std::string& username, const std::string& password) {
  check(rd_kafka_sasl_set_credentials(client_->handle(), username.c_str(), password.c_str()),
        "cannot set the password");
}

void Consumer::setToken(const std::string& token, int64_t expiresMs,
                        const std::string& principal) {
  char text[512] = "";
  const auto error =
      rd_kafka_oauthbearer_set_token(client_->handle(), token.c_str(), expiresMs,
                                     principal.c_str(), nullptr, 0, text, sizeof text);
  if (error) throw Refused(rd_kafka_err2name(error), text);
}

Consumer::Metadata Consumer::metadata(const std::string* topic, int timeoutMs) {
  rd_kafka_t* handle = client_->handle();
  rd_kafka_topic_t* only = nullptr;
  if (topic != nullptr) {
    only = rd_kafka_topic_new(handle, topic->c_str(), nullptr);
    if (only == nullptr) check(rd_kafka_last_error(), "cannot name the topic");
  }
  const rd_kafka_metadata_t* found = nullptr;
  const auto error = rd_kafka_metadata(handle, topic == nullptr, only, &found, timeoutMs);
  if (only != nullptr) rd_kafka_topic_destroy(only);
  check(error, "cannot ask for the metadata");
  Metadata metadata;
  for (int index = 0; index < found->broker_cnt; index++) {
    const auto& broker = found->brokers[index];
    metadata.brokers.push_back({broker.id, broker.host, broker.port});
  }
  for (int index = 0; index < found->topic_cnt; index++) {
    const auto& row = found->topics[index];
    metadata.topics.push_back(
        {row.topic, row.partition_cnt, row.err ? rd_kafka_err2name(row.err) : ""});
  }
  rd_kafka_metadata_destroy(found);
  return metadata;
}

}  // namespace logpipe
