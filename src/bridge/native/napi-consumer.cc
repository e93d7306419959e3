// The face of consumers.
#include "napi-values.h"
#include "plain-loop.h"
#include "registries.h"

namespace logpipe::face {
namespace {

// terminate() cannot interrupt a call: a thread must come back often enough to be told.
constexpr int32_t WAIT_MS_MAX = 50;
// Requests to a broker: longer than any of librdkafka's own time-outs by default.
constexpr int32_t REQUEST_MS_MAX = 600000;
constexpr double SLOTS_MAX = 65536;
// Of the baseline of benchmarks: a day; the threads that INGRESS_THREADS may be.
constexpr double PLAIN_SECONDS_MAX = 86400;
constexpr double PLAIN_CONSUMERS_MAX = 64;

Registry<Consumer>::Lease consumerAt(const Call& call) {
  return consumers().lease(call.id(0, "consumer"));
}

std::vector<int32_t> assignmentIds(const Call& call, Value value) {
  std::vector<int32_t> ids;
  for (Value element : call.array(value, "assignmentIds")) {
    ids.push_back(call.int32(element, "assignmentIds[" + std::to_string(ids.size()) + "]", 0,
                             INT32_MAX));
  }
  return ids;
}

std::vector<std::string> texts(const Call& call, Value value, const std::string& name) {
  std::vector<std::string> list;
  for (Value element : call.array(value, name)) {
    const std::string what = name + "[" + std::to_string(list.size()) + "]";
    list.push_back(call.text(element, what));
    if (list.back().empty()) throw Misuse(what + " must not be empty");
  }
  return list;
}

Properties propertiesOf(const Call& call, Value options) {
  Properties config;
  for (Value pair : call.array(call.field(options, "config"), "options.config")) {
    const std::string what = "options.config[" + std::to_string(config.size()) + "]";
    const std::vector<Value> parts = call.array(pair, what);
    if (parts.size() != 2) throw TypeFault(what + " must be a name and a value");
    config.emplace_back(call.text(parts[0], what + "[0]"), call.text(parts[1], what + "[1]"));
  }
  return config;
}

Value consumerOpen(Call& call) {
  call.expect(1);
  Value options = call.object(call.at(0), "options");
  const Properties config = propertiesOf(call, options);
  const auto topics = texts(call, call.field(options, "topics"), "options.topics");
  return call.of(consumers().add(std::make_unique<Consumer>(config, topics)));
}

Value consumerClose(Call& call) {
  call.expect(2);
  const double id = call.id(0, "consumer");
  const int32_t timeoutMs = call.timeout(1, REQUEST_MS_MAX);
  return call.of(Consumer::close(consumers().remove(id), timeoutMs));
}

size_t limit(const Call& call, Value limits, const char* name, double min) {
  return static_cast<size_t>(
      call.number(call.field(limits, name), std::string("limits.") + name, min, INT32_MAX));
}

Value consumerFill(Call& call) {
  call.expect(4);
  const auto consumer = consumerAt(call);
  const auto pool = pools().lease(call.id(1, "pool"));
  const double slot = call.number(call.at(2), "slotIndex", 0, SLOTS_MAX);
  Value limits = call.object(call.at(3), "limits");
  const FillLimits read{
      limit(call, limits, "recordsMax", 1), limit(call, limits, "bytesMax", 1),
      limit(call, limits, "pullMax", 1),
      call.int32(call.field(limits, "timeoutMs"), "limits.timeoutMs", 0, WAIT_MS_MAX),
      static_cast<size_t>(call.number(call.field(limits, "heldMax"), "limits.heldMax", 1,
                                      OFFSET_MAX))};
  return call.of(static_cast<double>(consumer->fill(*pool, slot, read)));
}

Value consumerPoll(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  return call.of(static_cast<double>(consumer->poll(call.timeout(1, WAIT_MS_MAX))));
}

const char* kindName(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::Assign: return "assign";
    case Event::Kind::Revoke: return "revoke";
    case Event::Kind::Error: return "error";
    case Event::Kind::End: return "end";
    case Event::Kind::Commit: return "commit";
    case Event::Kind::Rewind: return "rewind";
    case Event::Kind::Unreadable: return "unreadable";
    case Event::Kind::Readable: return "readable";
    case Event::Kind::Dropped: return "dropped";
  }
  return "";
}

Value eventValue(const Call& call, const Event& event) {
  Value value = call.newObject();
  const auto number = [&](auto from) { return call.of(static_cast<double>(from)); };
  call.set(value, "kind", call.of(kindName(event.kind)));
  switch (event.kind) {
    case Event::Kind::Assign:
    case Event::Kind::Revoke:
      call.set(value, "lost", call.of(event.lost));
      call.set(value, "partitions", call.ofResults(event.partitions, false));
      break;
    case Event::Kind::Error:
      call.set(value, "code", call.of(event.code));
      call.set(value, "message", call.of(event.message));
      call.set(value, "fatal", call.of(event.fatal));
      call.set(value, "topic", event.hasTopic ? call.of(event.topic) : call.null());
      call.set(value, "partition", number(event.partition));
      call.set(value, "offset", number(event.offset));
      break;
    case Event::Kind::End:
      call.set(value, "assignmentId", number(event.assignmentId));
      call.set(value, "offset", number(event.offset));
      break;
    case Event::Kind::Commit:
      call.set(value, "error", call.ofName(event.code));
      call.set(value, "partitions", call.ofResults(event.partitions, true));
      break;
    case Event::Kind::Rewind:
      call.set(value, "assignmentId", number(event.assignmentId));
      call.set(value, "damage", call.ofName(event.message));
      call.set(value, "expected", number(event.expected));
      call.set(value, "offset", number(event.offset));
      break;
    case Event::Kind::Unreadable:
      call.set(value, "assignmentId", number(event.assignmentId));
      call.set(value, "code", call.of(event.code));
      call.set(value, "message", call.of(event.message));
      call.set(value, "offset", number(event.offset));
      break;
    case Event::Kind::Readable:
      call.set(value, "assignmentId", number(event.assignmentId));
      call.set(value, "offset", number(event.offset));
      break;
    case Event::Kind::Dropped:
      call.set(value, "count", number(event.count));
      break;
  }
  return value;
}

Value consumerEvents(Call& call) {
  call.expect(1);
  const std::vector<Event> events = consumerAt(call)->events();
  Value array = call.newArray(events.size());
  for (size_t index = 0; index < events.size(); index++) {
    call.set(array, index, eventValue(call, events[index]));
  }
  return array;
}

Value consumerLogs(Call& call) {
  call.expect(1);
  const std::vector<LogLine> lines = consumerAt(call)->logs();
  Value array = call.newArray(lines.size());
  for (size_t index = 0; index < lines.size(); index++) {
    Value value = call.newObject();
    call.set(value, "level", call.of(static_cast<double>(lines[index].level)));
    call.set(value, "facility", call.of(lines[index].facility));
    call.set(value, "message", call.of(lines[index].message));
    call.set(array, index, value);
  }
  return array;
}

Value consumerSubscribe(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->subscribe(texts(call, call.at(1), "topics"));
  return call.undefined();
}

LogPast logPast(const Call& call, Value value, const std::string& what) {
  call.object(value, what);
  LogPast past;
  past.epoch = call.int32(call.field(value, "epoch"), what + ".epoch", -1, INT32_MAX);
  past.readTo = static_cast<int64_t>(
      call.number(call.field(value, "readTo"), what + ".readTo", 0, OFFSET_MAX));
  past.markFrom = call.int32(call.field(value, "markFrom"), what + ".markFrom", -1, INT32_MAX);
  return past;
}

std::vector<AssignedPartition> assignedPartitions(const Call& call, Value list) {
  std::vector<AssignedPartition> partitions;
  for (Value element : call.array(list, "partitions")) {
    const std::string what = "partitions[" + std::to_string(partitions.size()) + "]";
    AssignedPartition row;
    static_cast<PartitionOffset&>(row) = call.partitionOffset(element, what);
    row.assignmentId =
        call.int32(call.field(element, "assignmentId"), what + ".assignmentId", 0, INT32_MAX);
    Value stop = call.field(element, "stopOffset");
    if (!call.isUndefined(stop)) {
      row.stopOffset =
          static_cast<int64_t>(call.number(stop, what + ".stopOffset", 0, OFFSET_MAX));
    }
    Value past = call.field(element, "past");
    if (!call.isUndefined(past)) row.past = logPast(call, past, what + ".past");
    partitions.push_back(std::move(row));
  }
  return partitions;
}

Value consumerAssign(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->assign(assignedPartitions(call, call.at(1)));
  return call.undefined();
}

Value consumerHold(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->hold(call.partitionOffsets(call.at(1), "partitions"));
  return call.undefined();
}

Value consumerBegin(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->begin(assignedPartitions(call, call.at(1)));
  return call.undefined();
}

Value consumerLeaderEpoch(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  const int32_t id = call.int32(call.at(1), "assignmentId", 0, INT32_MAX);
  return call.of(static_cast<double>(consumer->leaderEpoch(id)));
}

Value consumerPast(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  const LogPast& past = consumer->past(call.int32(call.at(1), "assignmentId", 0, INT32_MAX));
  Value value = call.newObject();
  call.set(value, "epoch", call.of(static_cast<double>(past.epoch)));
  call.set(value, "readTo", call.of(static_cast<double>(past.readTo)));
  call.set(value, "markFrom", call.of(static_cast<double>(past.markFrom)));
  return value;
}

Value consumerUnassign(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->unassign(call.partitionOffsets(call.at(1), "partitions"));
  return call.undefined();
}

Value consumerAssignmentLost(Call& call) {
  call.expect(1);
  return call.of(consumerAt(call)->assignmentLost());
}

Value consumerPause(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->pause(assignmentIds(call, call.at(1)));
  return call.undefined();
}

Value consumerResume(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  consumer->resume(assignmentIds(call, call.at(1)));
  return call.undefined();
}

Value consumerSeek(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const int32_t id = call.int32(call.at(1), "assignmentId", 0, INT32_MAX);
  const double offset = call.number(call.at(2), "offset", RD_KAFKA_OFFSET_BEGINNING, OFFSET_MAX);
  consumer->seek(id, static_cast<int64_t>(offset));
  return call.undefined();
}

Value consumerProbe(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const int32_t id = call.int32(call.at(1), "assignmentId", 0, INT32_MAX);
  const double offset = call.number(call.at(2), "offset", RD_KAFKA_OFFSET_BEGINNING, OFFSET_MAX);
  consumer->probe(id, static_cast<int64_t>(offset));
  return call.undefined();
}

Value consumerRestart(Call& call) {
  call.expect(5);
  const auto consumer = consumerAt(call);
  const int32_t id = call.int32(call.at(1), "assignmentId", 0, INT32_MAX);
  const int32_t newId = call.int32(call.at(2), "newAssignmentId", 0, INT32_MAX);
  const double offset = call.number(call.at(3), "offset", 0, OFFSET_MAX);
  consumer->restart(id, newId, static_cast<int64_t>(offset),
                    call.boolean(call.at(4), "isOther"));
  return call.undefined();
}

Value consumerSetPassword(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  consumer->setPassword(call.text(call.at(1), "username"), call.text(call.at(2), "password"));
  return call.undefined();
}

Value consumerSetToken(Call& call) {
  call.expect(4);
  const auto consumer = consumerAt(call);
  const double expiresMs = call.number(call.at(2), "expiresMs", 0, OFFSET_MAX);
  consumer->setToken(call.text(call.at(1), "token"), static_cast<int64_t>(expiresMs),
                     call.text(call.at(3), "principal"));
  return call.undefined();
}

Value consumerCommit(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::vector<PartitionOffset> offsets = call.partitionOffsets(call.at(1), "offsets");
  return call.ofResults(consumer->commit(offsets, call.timeout(2, REQUEST_MS_MAX)), true);
}

Value consumerCommitted(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::vector<PartitionOffset> rows = call.partitionOffsets(call.at(1), "partitions");
  return call.ofResults(consumer->committed(rows, call.timeout(2, REQUEST_MS_MAX)), true);
}

Value consumerOffsetsForTimes(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::vector<PartitionOffset> rows = call.partitionOffsets(call.at(1), "partitions");
  return call.ofResults(consumer->offsetsForTimes(rows, call.timeout(2, REQUEST_MS_MAX)), true);
}

Value consumerWatermarks(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const PartitionOffset partition = call.partitionOffset(call.at(1), "partition");
  const Consumer::Watermarks marks =
      consumer->watermarks(partition, call.timeout(2, REQUEST_MS_MAX));
  Value value = call.newObject();
  call.set(value, "low", call.of(static_cast<double>(marks.low)));
  call.set(value, "high", call.of(static_cast<double>(marks.high)));
  return value;
}

Value consumerMetadata(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::optional<std::string> topic = call.textOrNull(call.at(1), "topic");
  if (topic.has_value() && topic->empty()) throw Misuse("topic must not be empty");
  const Consumer::Metadata metadata = consumer->metadata(
      topic.has_value() ? &*topic : nullptr, call.timeout(2, REQUEST_MS_MAX));
  Value value = call.newObject();
  Value brokers = call.newArray(metadata.brokers.size());
  for (size_t index = 0; index < metadata.brokers.size(); index++) {
    const auto& broker = metadata.brokers[index];
    Value row = call.newObject();
    call.set(row, "id", call.of(static_cast<double>(broker.id)));
    call.set(row, "host", call.of(broker.host));
    call.set(row, "port", call.of(static_cast<double>(broker.port)));
    call.set(brokers, index, row);
  }
  Value topics = call.newArray(metadata.topics.size());
  for (size_t index = 0; index < metadata.topics.size(); index++) {
    const auto& found = metadata.topics[index];
    Value row = call.newObject();
    call.set(row, "topic", call.of(found.topic));
    call.set(row, "partitions", call.of(static_cast<double>(found.partitions)));
    call.set(row, "error", call.ofName(found.error));
    call.set(topics, index, row);
  }
  call.set(value, "brokers", brokers);
  call.set(value, "topics", topics);
  return value;
}

Value consumerAskCommitted(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const int32_t timeoutMs = call.timeout(2, REQUEST_MS_MAX);
  if (call.isNull(call.at(1))) {
    return call.of(static_cast<double>(consumer->questions().committed(nullptr, timeoutMs)));
  }
  const std::vector<PartitionOffset> rows = call.partitionOffsets(call.at(1), "partitions");
  if (rows.empty()) throw Misuse("partitions must not be empty");
  return call.of(static_cast<double>(consumer->questions().committed(&rows, timeoutMs)));
}

Value consumerAskOffsets(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::vector<PartitionOffset> rows = call.partitionOffsets(call.at(1), "partitions");
  if (rows.empty()) throw Misuse("partitions must not be empty");
  const int32_t timeoutMs = call.timeout(2, REQUEST_MS_MAX);
  return call.of(static_cast<double>(consumer->questions().offsets(rows, timeoutMs)));
}

Value consumerAskTopics(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const auto topics = texts(call, call.at(1), "topics");
  if (topics.empty()) throw Misuse("topics must not be empty");
  const int32_t timeoutMs = call.timeout(2, REQUEST_MS_MAX);
  return call.of(static_cast<double>(consumer->questions().topics(topics, timeoutMs)));
}

Value consumerAskCommit(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  const std::vector<PartitionOffset> rows = call.partitionOffsets(call.at(1), "offsets");
  if (rows.empty()) throw Misuse("offsets must not be empty");
  return call.of(static_cast<double>(consumer->questions().commit(rows)));
}

Value consumerAskMembers(Call& call) {
  call.expect(3);
  const auto consumer = consumerAt(call);
  const std::string group = call.text(call.at(1), "group");
  if (group.empty()) throw Misuse("group must not be empty");
  const int32_t timeoutMs = call.timeout(2, REQUEST_MS_MAX);
  return call.of(static_cast<double>(consumer->questions().members(group, timeoutMs)));
}

Value answerValue(const Call& call, const Answer& answer) {
  Value value = call.newObject();
  call.set(value, "question", call.of(static_cast<double>(answer.question)));
  call.set(value, "error", call.ofName(answer.error));
  Value partitions = call.newArray(answer.partitions.size());
  for (size_t index = 0; index < answer.partitions.size(); index++) {
    const PartitionResult& row = answer.partitions[index];
    Value place = call.newObject();
    call.set(place, "topic", call.of(row.topic));
    call.set(place, "partition", call.of(static_cast<double>(row.partition)));
    call.set(place, "offset", call.of(static_cast<double>(row.offset)));
    call.set(place, "leaderEpoch", call.of(static_cast<double>(row.leaderEpoch)));
    call.set(place, "metadata", call.ofName(row.metadata));
    call.set(place, "error", call.ofName(row.error));
    call.set(partitions, index, place);
  }
  call.set(value, "partitions", partitions);
  Value topics = call.newArray(answer.topics.size());
  for (size_t index = 0; index < answer.topics.size(); index++) {
    const Answer::Topic& row = answer.topics[index];
    Value topic = call.newObject();
    call.set(topic, "topic", call.of(row.topic));
    call.set(topic, "topicId", call.ofName(row.id));
    call.set(topic, "partitions", call.of(static_cast<double>(row.partitions)));
    call.set(topic, "error", call.ofName(row.error));
    call.set(topics, index, topic);
  }
  call.set(value, "topics", topics);
  Value members = call.newArray(answer.members.size());
  for (size_t index = 0; index < answer.members.size(); index++) {
    const Answer::Member& row = answer.members[index];
    Value member = call.newObject();
    call.set(member, "clientId", call.of(row.clientId));
    call.set(member, "host", call.of(row.host));
    call.set(member, "instanceId", call.ofName(row.instanceId));
    call.set(members, index, member);
  }
  call.set(value, "members", members);
  return value;
}

Value consumerAnswers(Call& call) {
  call.expect(2);
  const auto consumer = consumerAt(call);
  const std::vector<Answer> answers = consumer->questions().answers(call.timeout(1, WAIT_MS_MAX));
  Value list = call.newArray(answers.size());
  for (size_t index = 0; index < answers.size(); index++) {
    call.set(list, index, answerValue(call, answers[index]));
  }
  return list;
}

Value plainLoop(Call& call) {
  call.expect(1);
  Value options = call.object(call.at(0), "options");
  const auto number = [&](const char* name, double min, double max) {
    return call.number(call.field(options, name), std::string("options.") + name, min, max);
  };
  PlainLoop loop;
  loop.config = propertiesOf(call, options);
  loop.topic = call.text(call.field(options, "topic"), "options.topic");
  loop.pattern = call.bytes(call.field(options, "pattern"), "options.pattern");
  loop.isRaw = call.boolean(call.field(options, "isRaw"), "options.isRaw");
  loop.recordsMax = static_cast<uint64_t>(number("recordsMax", 1, OFFSET_MAX));
  loop.secondsMax = number("secondsMax", 0, PLAIN_SECONDS_MAX);
  loop.consumers = static_cast<size_t>(number("consumers", 1, PLAIN_CONSUMERS_MAX));
  if (loop.topic.empty() || loop.pattern.empty()) throw Misuse("topic and pattern are not empty");
  const PlainTotals totals = runPlainLoop(loop);
  Value value = call.newObject();
  call.set(value, "records", call.of(static_cast<double>(totals.records)));
  call.set(value, "bytes", call.of(static_cast<double>(totals.bytes)));
  call.set(value, "matched", call.of(static_cast<double>(totals.matched)));
  call.set(value, "seconds", call.of(totals.seconds));
  call.set(value, "cpuSeconds", call.of(totals.cpuSeconds));
  return value;
}

constexpr Row ROWS[] = {
    {"plainLoop", plainLoop},
    {"consumerOpen", consumerOpen},
    {"consumerFill", consumerFill},
    {"consumerPoll", consumerPoll},
    {"consumerEvents", consumerEvents},
    {"consumerLogs", consumerLogs},
    {"consumerSubscribe", consumerSubscribe},
    {"consumerAssign", consumerAssign},
    {"consumerHold", consumerHold},
    {"consumerBegin", consumerBegin},
    {"consumerLeaderEpoch", consumerLeaderEpoch},
    {"consumerPast", consumerPast},
    {"consumerUnassign", consumerUnassign},
    {"consumerAssignmentLost", consumerAssignmentLost},
    {"consumerPause", consumerPause},
    {"consumerResume", consumerResume},
    {"consumerSeek", consumerSeek},
    {"consumerProbe", consumerProbe},
    {"consumerRestart", consumerRestart},
    {"consumerSetPassword", consumerSetPassword},
    {"consumerSetToken", consumerSetToken},
    {"consumerCommit", consumerCommit},
    {"consumerCommitted", consumerCommitted},
    {"consumerOffsetsForTimes", consumerOffsetsForTimes},
    {"consumerWatermarks", consumerWatermarks},
    {"consumerMetadata", consumerMetadata},
    {"consumerAskCommit", consumerAskCommit},
    {"consumerAskCommitted", consumerAskCommitted},
    {"consumerAskOffsets", consumerAskOffsets},
    {"consumerAskTopics", consumerAskTopics},
    {"consumerAskMembers", consumerAskMembers},
    {"consumerAnswers", consumerAnswers},
    {"consumerClose", consumerClose},
};

}  // namespace

void defineConsumer(napi_env env, Value exports) { define(env, exports, ROWS, std::size(ROWS)); }

}  // namespace logpipe::face
